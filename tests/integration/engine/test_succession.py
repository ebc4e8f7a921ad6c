"""A revision that takes its time to load replaces one that is at work: nobody waits for it, and nothing is lost."""

import contextlib
import threading

import pytest

from support.engine_process import wait_until, write_app
from support.versions import Load

# The worker that a deployment tries out loads at once; the others of a version wait until its gate opens.
SOURCE = """
from pathlib import Path

app = skerry.App("gated")
PLACE = Path({place!r})

@app.function(name="gated", scale=skerry.Scale(initial=1, max={most}, grace="60s"), {options})
class Gated:
    def load(self):
        if os.environ["K_REVISION"].endswith("-trial"):
            return
        (PLACE / f"loads-{version}-{{os.getpid()}}").touch()
        while not (PLACE / "open-{version}").exists():
            if (PLACE / "broken-{version}").exists():
                raise RuntimeError("no such weights")
            time.sleep(0.01)

    def __call__(self, held: bool | None = None) -> str:
        while held and not (PLACE / "go").exists():
            time.sleep(0.01)
        return {version!r}
"""


class Gated:
    """The app's file, and the gates at which its versions wait."""

    def __init__(self, folder, engine):
        self.path = folder / "app.py"
        self.engine = engine
        self._folder = folder

    def write(self, version, *, most=1, options=""):
        source = SOURCE.format(place=str(self._folder), version=version, most=most, options=options)
        return write_app(self.path, source)

    def deploy(self, version, **options):
        return self.engine.deploy(self.write(version, **options))

    def open(self, version):
        (self._folder / f"open-{version}").touch()

    def close(self, version):
        (self._folder / f"open-{version}").unlink()

    def break_(self, version):
        (self._folder / f"broken-{version}").touch()

    def let_go(self):
        """Let the calls end that are held."""
        (self._folder / "go").touch()

    def loads(self, version):
        """Return how many workers have begun to load a version."""
        return len(list(self._folder.glob(f"loads-{version}-*")))


@pytest.fixture
def gated(engine, tmp_path):
    found = Gated(tmp_path, engine)
    found.open("a")
    return found


@contextlib.contextmanager
def in_background(work):
    """Do something meanwhile; gives a list that has its answer at the end of the block."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    try:
        yield answers
    finally:
        thread.join(60)


def serves_on(load, answer, *, more=50):
    """Wait for further answers, all of them the one given."""
    begin = len(load.answers)
    wait_until(lambda: len(load.answers) >= begin + more or load.errors, what="further answers")
    assert set(load.answers[begin:]) == {(200, answer)}


def comes_to_serve(load, answer):
    """Wait until all answers are the one given: what the revision before has accepted, it answers."""
    wait_until(lambda: set(load.answers[-50:]) == {(200, answer)}, what=f"answers {answer!r} alone")


def answers_of(load, *versions):
    assert load.errors == []
    assert set(load.answers) == {(200, f'"{version}"'.encode()) for version in versions}


@pytest.mark.parametrize("most", [1, pytest.param(3, id="from a template")])
def test_the_old_revision_answers_until_the_new_one_is_ready(engine, gated, most):
    options = {"most": most, "options": f"share_load={most > 1}"}
    gated.deploy("a", **options)
    with Load(engine, "gated") as load:
        serves_on(load, b'"a"')
        with in_background(lambda: gated.deploy("b", **options)) as deployed:
            wait_until(lambda: gated.loads("b"), what="a worker of b")
            serves_on(load, b'"a"')
            assert engine.function("gated")["revision"] == "gated-00001"
            assert not deployed
            gated.open("b")
        comes_to_serve(load, b'"b"')

    answers_of(load, "a", "b")
    assert deployed[0]["functions"][0]["revision"] == engine.function("gated")["revision"] == "gated-00002"
    assert gated.loads("b") == 1
    kinds = [event["kind"] for event in engine.events("gated")]
    seen = [one for one in kinds if one in ("deployed", "worker_ready", "worker_stopped")]
    second = seen.index("deployed", 1)
    assert seen[:second].count("worker_ready") >= 2
    assert "worker_stopped" not in seen[:second]


def test_a_rollback_lets_the_present_revision_answer_until_the_earlier_is_ready_again(engine, gated):
    gated.open("b")
    gated.deploy("a")
    gated.deploy("b")
    gated.close("a")
    before = gated.loads("a")
    with Load(engine, "gated") as load:
        serves_on(load, b'"b"')
        with in_background(lambda: engine.control("POST", "/functions/gated/rollback")) as answers:
            wait_until(lambda: gated.loads("a") > before, what="a worker of a")
            serves_on(load, b'"b"')
            gated.open("a")
        comes_to_serve(load, b'"a"')

    answers_of(load, "b", "a")
    assert answers[0].json()["functions"] == [
        {"function": "gated", "replaced": "gated-00002", "serving": "gated-00003"}
    ]


def test_a_revision_that_never_gets_ready_leaves_the_one_that_serves(engine, gated):
    gated.deploy("a")
    with Load(engine, "gated") as load:
        serves_on(load, b'"a"')
        with in_background(lambda: engine.try_deploy(gated.write("b"))) as answers:
            wait_until(lambda: gated.loads("b"), what="a worker of b")
            gated.break_("b")
        serves_on(load, b'"a"')

    answers_of(load, "a")
    refused = answers[0]
    assert (refused.status, refused.code) == (503, "start_failed")
    for said in ("gated-00002 does not get ready", "the one before it goes on", "RuntimeError while it loaded"):
        assert said in refused.json()["detail"]
    assert engine.function("gated")["revision"] == "gated-00001"
    assert len(engine.live_workers("gated")) == 1
    assert engine.control("POST", "/functions/gated/rollback").code == "bad_config"  # it was never deployed

    gated.open("c")
    gated.deploy("c")
    assert engine.call("gated").json() == "c"


def test_a_revision_that_there_is_no_memory_for_leaves_the_one_that_serves(make_engine, tmp_path):
    engine = make_engine(environment={"SKERRY_MEMORY": "1GiB"}).start()
    gated = Gated(tmp_path, engine)
    gated.open("a")
    gated.deploy("a")
    assert engine.call("gated").json() == "a"

    refused = engine.try_deploy(gated.write("b", options="memory='2GiB'"))

    assert (refused.status, refused.code) == (503, "unavailable")
    for said in ("gated-00002 does not get ready", "needs 2147 MB of memory"):
        assert said in refused.json()["detail"]
    assert gated.loads("b") == 0
    assert engine.call("gated").json() == "a"


def test_a_failed_successor_of_one_function_ends_those_of_the_others(engine, gated, tmp_path):
    def both(version):
        source = SOURCE.format(place=str(tmp_path), version=version, most=1, options="")
        return write_app(
            gated.path,
            source + f"\n@app.function(scale=skerry.Scale(grace='60s'))\ndef plain() -> str:\n    return {version!r}\n",
        )

    engine.deploy(both("a"))
    wait_until(lambda: len(engine.workers("gated")) == len(engine.workers("plain")) == 1, what="a worker of each")
    with in_background(lambda: engine.try_deploy(both("b"))) as answers:
        wait_until(lambda: gated.loads("b") and len(engine.workers("plain")) == 2, what="the successor of plain")
        assert engine.call("plain").json() == "a"  # all functions of an app switch together
        gated.break_("b")

    assert answers[0].status == 503, answers
    assert [engine.call(name).json() for name in ("gated", "plain")] == ["a", "a"]
    wait_until(lambda: len(engine.live_workers("plain")) == 1, what="the end of the successor of plain")


def test_a_function_that_is_called_while_another_gets_ready_gets_a_successor_as_well(engine, gated, tmp_path):
    def both(version):
        source = SOURCE.format(place=str(tmp_path), version=version, most=1, options="")
        return write_app(
            gated.path,
            source + "\n@app.function(scale=skerry.Scale(initial=0, grace='60s'))\n"
            f"def idle() -> str:\n    return {version!r}\n",
        )

    engine.deploy(both("a"))
    wait_until(lambda: engine.workers("gated"), what="a worker")
    with in_background(lambda: engine.deploy(both("b"))):
        wait_until(lambda: gated.loads("b"), what="a worker of b")
        assert engine.call("idle").json() == "a"
        gated.open("b")

    assert [engine.call(name).json() for name in ("gated", "idle")] == ["b", "b"]
    kinds = [event["kind"] for event in engine.events("idle")]
    assert [one for one in kinds if one in ("deployed", "worker_ready")] == [
        "deployed",
        "worker_ready",
        "worker_ready",
        "deployed",
    ]


def test_as_many_workers_are_ready_as_are_at_work(engine, gated):
    gated.deploy("a", most=3)
    with contextlib.ExitStack() as calls:
        answers = [calls.enter_context(in_background(lambda: engine.call("gated", True).json())) for _ in range(3)]
        wait_until(lambda: engine.function("gated")["workers"]["ready"] == 3, what="three workers")
        with in_background(lambda: gated.deploy("b", most=3)):
            wait_until(lambda: gated.loads("b") == 3, what="three workers of b")
            gated.open("b")
        assert engine.function("gated")["workers"]["ready"] == 3
        gated.let_go()

    assert answers == [["a"]] * 3


def test_a_killed_engine_serves_what_was_switched_to_last(engine, gated):
    gated.deploy("a")
    assert engine.call("gated").json() == "a"
    with in_background(lambda: _try(lambda: engine.try_deploy(gated.write("b")))):
        wait_until(lambda: gated.loads("b"), what="a worker of b")
        engine.kill()
    engine.start()

    assert engine.call("gated").json() == "a"
    assert engine.function("gated")["revision"] == "gated-00001"
    gated.open("b")
    engine.deploy(gated.path)
    assert engine.call("gated").json() == "b"


def test_an_engine_that_is_stopped_while_a_revision_gets_ready_ends_and_switches_nothing(engine, gated):
    gated.deploy("a")
    assert engine.call("gated").json() == "a"
    with in_background(lambda: _try(lambda: engine.try_deploy(gated.write("b")))):
        wait_until(lambda: gated.loads("b"), what="a worker of b")
        assert engine.stop(within_s=30) == 0
    assert not engine.processes()

    engine.start()
    assert engine.call("gated").json() == "a"


def test_a_deletion_and_a_deployment_wait_for_the_one_that_gets_ready(engine, gated):
    gated.deploy("a")
    assert engine.call("gated").json() == "a"
    with in_background(lambda: engine.deploy(gated.write("b"))) as first:
        wait_until(lambda: gated.loads("b"), what="a worker of b")
        with in_background(lambda: engine.control("DELETE", "/apps/gated")) as removed:
            assert engine.call("gated").json() == "a"
            assert not removed
            gated.open("b")

    assert first[0]["functions"][0]["revision"] == "gated-00002"
    assert removed[0].status in (200, 204)
    assert engine.call("gated").status == 404
    wait_until(lambda: not engine.live_workers("gated"), what="the end of its workers")


def test_jobs_of_both_revisions_end(engine, gated):
    gated.deploy("a")
    jobs = [engine.submit("gated", True).json()["id"] for _ in range(3)]  # one runs, the others wait
    with in_background(lambda: gated.deploy("b")):
        wait_until(lambda: gated.loads("b"), what="a worker of b")
        jobs.append(engine.submit("gated").json()["id"])
        gated.open("b")
    jobs.append(engine.submit("gated").json()["id"])
    assert engine.job_result(jobs[-1]).json() == "b"
    gated.let_go()

    assert [engine.job_result(job).json() for job in jobs] == ["a", "a", "a", "a", "b"]
    assert {engine.job(job)["attempts"] for job in jobs} == {1}


def test_a_function_without_workers_is_switched_at_once(engine, gated):
    path = gated.write("a", options="memory='512MiB'")
    engine.deploy(path, flags=["gated.scale.initial=0"])

    gated.write("b")
    engine.deploy(path, flags=["gated.scale.initial=0"])  # its gate is closed

    assert gated.loads("b") == 0
    gated.open("b")
    assert engine.call("gated").json() == "b"


def _try(work):
    with contextlib.suppress(OSError):  # the engine ends before it answers
        return work()
