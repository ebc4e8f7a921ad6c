"""Aliases that move under load, and engines that die meanwhile: every request is answered, each by one version."""

import itertools
import json
import threading

import pytest

from skerry.cli.main import main
from support.engine_process import wait_until, write_app
from support.model_store import ModelStore, write_model_app


@pytest.fixture
def engine(make_engine, tmp_path):
    return make_engine(environment={"SKERRY_MODEL_CACHE": str(tmp_path / "cache")}).start()


@pytest.fixture
def store(engine):
    return ModelStore(engine.home / "models")


class Load:
    """Calls a model over and over from a few threads, at two addresses in turn, and keeps every answer."""

    PATHS = ("/function/digits", "/v2/models/digits/infer")

    def __init__(self, engine, threads=3):
        self.answers, self.errors = [], []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(engine,)) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, engine):
        connection = engine.connect()
        try:
            for path in itertools.cycle(self.PATHS):
                if self._stopping.is_set():
                    return
                connection.request("POST", path, b"{}", {"content-type": "application/json"})
                response = connection.getresponse()
                self.answers.append((response.status, response.read()))
        except Exception as error:
            self.errors.append(error)
        finally:
            connection.close()


def pair(answer):
    told = json.loads(answer)
    return told["content"], told["model"]


def version(engine):
    return engine.function("digits")["model"]["version"]


def test_a_command_that_moves_an_alias_has_the_engine_look_at_once(engine, store, tmp_path, monkeypatch):
    monkeypatch.delenv("SKERRY_MODELS", raising=False)
    monkeypatch.setattr("skerry.cli.models.options.NUDGE_S", 60.0)  # so that it waits, however slow the machine
    for text in ("one", "two"):
        store.publish("digits", text)
    store.move("digits", 1)
    engine.deploy(write_model_app(tmp_path / "app.py"))

    for words, expected in ((("alias", "digits@2", "production"), 2), (("rollback", "digits@production"), 1)):
        assert main(["models", *words, "--home", str(engine.home)]) == 0
        assert version(engine) == expected


def test_no_request_fails_and_none_is_mixed_while_an_alias_moves(engine, store, tmp_path):
    for text in ("one", "two", "three"):
        store.publish("digits", text)
    store.move("digits", 1)
    engine.deploy(write_model_app(tmp_path / "app.py"))

    with Load(engine) as load:
        wait_until(lambda: len(load.answers) > 20 or load.errors, what="answers")
        for target in itertools.islice(itertools.cycle((2, 3, 1)), 10):
            store.move("digits", target)
            engine.control("POST", "/models/refresh")
            assert version(engine) == target
            before = len(load.answers)
            wait_until(lambda: len(load.answers) > before + 20 or load.errors, what="answers")  # noqa: B023  # at once

    assert load.errors == []
    assert {status for status, _ in load.answers} == {200}
    assert {pair(answer) for _, answer in load.answers} == {
        ("one", "digits@1"),
        ("two", "digits@2"),
        ("three", "digits@3"),
    }
    assert len(load.answers) > 200
    assert len(engine.events("digits", "model_switched")) == 10
    wait_until(lambda: len(engine.live_workers("digits")) <= 2, what="the end of the workers before")


def test_after_a_switch_no_answer_is_of_the_version_before(engine, store, tmp_path):
    store.publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py"))
    store.publish("digits", "two", alias="production")

    engine.control("POST", "/models/refresh")

    assert {engine.call("digits", {}).json()["content"] for _ in range(20)} == {"two"}


def test_an_engine_that_was_killed_serves_what_it_served_and_follows_what_moved_meanwhile(engine, store, tmp_path):
    store.publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py"))
    store.publish("digits", "two", alias="production")
    wait_until(lambda: version(engine) == 2, what="version 2")

    engine.kill()
    store.repository.rollback("digits")
    engine.start()

    assert engine.call("digits", {}).status == 200
    wait_until(lambda: version(engine) == 1, what="version 1")
    assert engine.call("digits", {}).json()["content"] == "one"


def test_an_engine_whose_store_is_gone_serves_from_the_cache(engine, store, tmp_path):
    store.publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py"))
    engine.kill()
    store.folder.rename(tmp_path / "elsewhere")

    engine.start()

    assert engine.call("digits", {}).json() | {"pid": 0} == {"content": "one", "model": "digits@1", "pid": 0}
    assert "digits-00001 serves digits@1 again, from the cache" in engine.stderr()
    wait_until(lambda: "digits@production is not followed" in engine.stderr(), what="the word of it in the log")
    (tmp_path / "elsewhere").rename(store.folder)
    store.publish("digits", "two", alias="production")
    wait_until(lambda: version(engine) == 2, what="version 2")


def test_a_function_whose_model_is_lost_is_served_once_the_store_has_it_again(engine, store, tmp_path):
    store.publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py"))
    engine.kill()
    store.folder.rename(tmp_path / "elsewhere")
    (tmp_path / "cache").rename(tmp_path / "lost")

    engine.start()
    assert engine.call("digits", {}).status == 404
    (tmp_path / "elsewhere").rename(store.folder)

    wait_until(lambda: engine.call("digits", {}).status == 200, what="the function")
    assert "digits-00001 is not served until its model can be had" in engine.stderr()


def test_a_switch_that_is_not_wanted_any_more_is_given_up(engine, store, tmp_path):
    slow = """\
import pathlib
app = skerry.App("slow")

@app.function(model="digits@production", start_timeout="50s")
class digits:
    def load(self):
        self.content = pathlib.Path(os.environ["SKERRY_MODEL_FOLDER"], "model.onnx").read_text()
        if self.content == "slow":
            time.sleep(45)

    def __call__(self) -> str:
        return self.content
"""
    store.publish("digits", "one", alias="production")
    engine.deploy(write_app(tmp_path / "app.py", slow))
    store.publish("digits", "slow", alias="production")
    starting = wait_until(lambda: engine.function("digits")["model"]["following"], what="the start of the slow version")
    assert starting == 2

    store.repository.rollback("digits")

    wait_until(lambda: engine.function("digits")["model"]["following"] is None, what="the end of the slow start")
    assert (version(engine), engine.call("digits").json()) == (1, "one")
    assert engine.function("digits")["model"]["failed"] is None
