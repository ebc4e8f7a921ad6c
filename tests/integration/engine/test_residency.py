"""Functions that do not fit into the memory together: who is let in, who is put out, who is told what."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.engine_process import wait_until, write_app
from support.model_store import ModelStore, write_model_app

BUDGET = "230MB"  # two of the holders fit, three do not
APP = """
app = skerry.App("residency")
SCALE = skerry.Scale(initial=0, window="60s", max=1)

class Holder:
    def load(self):
        self.held = bytearray(os.urandom(1 << 20) * 75)

    def __call__(self, mark: str = "") -> int:
        if mark:
            open(mark + ".begun", "w").close()
            while not os.path.exists(mark + ".end"):
                time.sleep(0.005)
        return len(self.held)

for name in ("first", "second", "third"):
    app.function(name=name, memory="120MB", scale=SCALE)(type(name.title(), (Holder,), {}))

@app.function(memory="400MB", scale=SCALE)
def huge(x: int) -> int:
    return x
"""
NAMES = ("first", "second", "third")


@pytest.fixture
def engine(make_engine, tmp_path):
    engine = make_engine(environment={"SKERRY_MEMORY": BUDGET}).start()
    engine.deploy(write_app(tmp_path / "app.py", APP))
    return engine


class Held:
    """A request that keeps a function busy until it is told to end."""

    def __init__(self, engine, function, mark):
        self._mark = mark
        self._thread = threading.Thread(target=self._run, args=(engine, function))
        self._thread.start()
        wait_until(mark.with_suffix(".begun").exists, what="a request that runs")

    def _run(self, engine, function):
        self.answer = engine.call(function, str(self._mark))

    def end(self):
        self._mark.with_suffix(".end").touch()
        self._thread.join()
        return self.answer


def loaded(engine):
    return {name for name in NAMES if engine.function(name)["workers"]["ready"]}


def test_the_least_recently_used_idle_one_is_put_out_and_comes_back_when_it_is_called(engine):
    for name in ("first", "second", "first", "third"):
        assert engine.call(name, "").status == 200, name
    assert loaded(engine) == {"first", "third"}
    [event] = engine.events("second", "evicted")
    assert event["for"] == "third"
    assert event["size_bytes"] > 75 * 2**20

    assert engine.call("second", "").status == 200
    assert loaded(engine) == {"third", "second"}
    assert engine.control("GET", "/engine").json()["memory_budget_bytes"] == 230_000_000


def test_a_busy_one_is_never_put_out_and_the_one_that_waits_is_served_when_it_is_idle(engine, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        busy = [Held(engine, name, tmp_path / name) for name in ("first", "second")]
        waiting = pool.submit(engine.call, "third", "")
        wait_until(lambda: engine.function("third")["queued"] == 1, what="a call that waits for memory")
        assert loaded(engine) == {"first", "second"}
        assert busy[1].end().status == 200
        assert waiting.result(30).status == 200
        assert loaded(engine) == {"first", "third"}
        assert busy[0].end().status == 200
    assert [engine.events(name, "worker_lost") for name in NAMES] == [[], [], []]


def test_one_that_can_never_fit_is_refused_with_the_figures(engine):
    assert engine.call("first", "").status == 200
    answer = engine.call("huge", 1)

    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 1
    assert "needs 400 MB of memory; the budget of all functions is 230 MB" in answer.json()["detail"]
    assert (answer.json()["needs_bytes"], answer.json()["budget_bytes"]) == (400_000_000, 230_000_000)
    assert len(engine.events("huge", "refused_memory")) == 1
    assert loaded(engine) == {"first"}


def test_nobodys_request_is_lost_when_functions_take_turns(engine):
    def served(name):
        answers = [engine.call(name, "")]
        while answers[-1].status == 503 and len(answers) < 6:  # where the machine is slow, one may wait too long
            answers.append(engine.call(name, ""))
        return answers[-1]

    def turns(begin):
        return [served(NAMES[(begin + turn) % 3]).status for turn in range(6)]

    with ThreadPoolExecutor(3) as pool:
        assert [status for statuses in pool.map(turns, range(3)) for status in statuses] == [200] * 18
    assert [engine.events(name, "worker_lost") for name in NAMES] == [[], [], []]


def test_a_version_of_a_model_that_never_fits_is_not_followed_and_says_so_until_one_does(make_engine, tmp_path):
    engine = make_engine(environment={"SKERRY_MEMORY": "60MB", "SKERRY_MODEL_CACHE": str(tmp_path / "cache")}).start()
    store = ModelStore(engine.home / "models")
    store.publish("digits", "one", alias="production")
    engine.deploy(write_model_app(tmp_path / "app.py", name="digits"))

    store.publish("digits", "two" * 25_000_000, alias="production")
    failed = wait_until(lambda: engine.function("digits")["model"]["failed"], what="the refusal")

    assert failed["version"] == 2
    assert "75 MB" in failed["reason"]
    assert engine.call("digits", {}).json()["content"] == "one"
    store.publish("digits", "three", alias="production")
    wait_until(lambda: engine.function("digits")["model"]["version"] == 3, what="version 3")
    assert engine.function("digits")["model"]["failed"] is None
