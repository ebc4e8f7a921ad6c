"""States of functions on an engine."""

import json
import os

import pytest

from support.engine_process import write_app

SOURCE = """
app = skerry.App("news")
counts = app.state("counts")


@app.function(scale=skerry.Scale(min=2, max=2))
def count(word: str) -> list[int]:
    return [counts.increment(word), os.getpid()]


@app.function
def where() -> str:
    return counts.url
"""
WARM = """

class Warm:
    def load(self):
        counts.put("loaded", os.getpid())

    def __call__(self) -> list[int]:
        return [counts.get("loaded"), counts.increment("calls")]


warm = app.function(share_load=True)(Warm)
"""


def test_workers_share_a_state_that_outlives_them_and_the_engine(engine, tmp_path):
    path = write_app(tmp_path / "app.py", SOURCE)
    engine.deploy(path)
    answers = [engine.call("count", "a").json() for _ in range(10)]
    assert [number for number, _ in answers] == list(range(1, 11))
    assert engine.call("where").json() == (engine.home / "state").as_uri()
    engine.kill()
    engine.start()
    assert engine.call("count", "a").json()[0] == 11


def test_a_state_that_a_template_used_is_used_by_its_workers(engine, tmp_path):
    engine.deploy(write_app(tmp_path / "app.py", SOURCE + WARM))
    answers = [engine.call("warm").json() for _ in range(3)]
    assert [calls for _, calls in answers] == [1, 2, 3]
    assert len({loader for loader, _ in answers}) == 1


def test_the_engine_s_variable_says_where_and_its_password_is_told_nobody(make_engine, tmp_path):
    pytest.importorskip("redis")
    secret = "hunter2"
    engine = make_engine(
        environment={"SKERRY_STATE": f"redis://:{secret}@127.0.0.1:1/0", "SKERRY_STATE_PASSWORD": secret}
    ).start()
    engine.deploy(write_app(tmp_path / "app.py", SOURCE))
    assert engine.call("where").json() == "redis://127.0.0.1:1/0"
    failed = engine.call("count", "a")
    assert failed.status == 500
    said = json.dumps([failed.json(), engine.control("GET", "/functions/count").json()]) + engine.stderr()
    said += "".join(path.read_text() for path in (engine.home / "logs").iterdir())
    assert "the state at redis://127.0.0.1:1/0 failed" in said
    assert secret not in said
    assert os.environ.get("SKERRY_STATE") is None
