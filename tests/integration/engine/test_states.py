"""States of functions on an engine."""

import json
import os

import pytest

from skerry.store.state import State, open_state
from support.engine_process import wait_until, write_app

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
SPIN = """

@app.function(scale=skerry.Scale(min=1, max=1))
def spin() -> None:
    while True:
        with counts.batch() as batch:
            batch.increment("left")
            batch.increment("right")
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


def test_a_state_that_a_template_used_is_used_by_its_workers(shared_engine, tmp_path):
    shared_engine.deploy(write_app(tmp_path / "app.py", SOURCE + WARM))
    answers = [shared_engine.call("warm").json() for _ in range(3)]
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


@pytest.mark.parametrize("backend", ["sqlite", "redis"])
def test_a_handler_that_is_interrupted_leaves_the_state_whole_and_open(shared_engine, tmp_path, request, backend):
    place = request.getfixturevalue("redis_url") if backend == "redis" else str(tmp_path / "state")
    (tmp_path / "skerry.toml").write_text(f'[state]\nurl = "{place}"\n')
    shared_engine.deploy(write_app(tmp_path / "app.py", SOURCE + SPIN))
    store = open_state(place)
    state = State(lambda: store, "news/counts")
    for turn in range(1, 7):
        seen = state.get("left") or 0

        def has_begun(seen=seen, turn=turn):
            assert shared_engine.call("spin", headers={"Skerry-Timeout-Ms": str(100 + 7 * turn)}).status == 504
            return (state.get("left") or 0) > seen

        wait_until(has_begun, within_s=60, what="a call that was interrupted")
        assert state.increment("turns") == turn  # nobody would get in if the handler had kept the gate
    with state.batch() as batch:  # the last one may not have noticed yet
        left, right = batch.get("left", int), batch.get("right", int)
    assert left.value == right.value
    store.close()
