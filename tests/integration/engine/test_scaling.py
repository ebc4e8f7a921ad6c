import os
import socket
import threading
import time

import pytest

from support.engine_process import wait_until, write_app

ROOM = 4  # workers of one function that the machine holds
APP = f"""
app = skerry.App("scaling")
QUICK = dict(initial=0, window="1s", grace="0s", utilization=1.0)

def hold(mark: str) -> int:
    open(mark + ".begun", "w").close()
    while not os.path.exists(mark + ".end"):
        time.sleep(0.005)
    return os.getpid()

first = app.function(name="first", cpu={(os.cpu_count() or 1) / ROOM}, scale=skerry.Scale(**QUICK))(hold)
second = app.function(name="second", cpu={(os.cpu_count() or 1) / ROOM}, scale=skerry.Scale(**QUICK))(hold)
follows = app.function(name="follows", scale=skerry.Scale(max=3, **QUICK))(hold)
rated = app.function(name="rated", scale=skerry.Scale(metric="rps", activation=3, max=3, **QUICK))(hold)

@app.function(scale=skerry.Scale(**QUICK))
class Slow:
    def load(self):
        while os.path.exists(os.path.join(os.path.dirname(os.environ["SKERRY_ENGINE"]), "slow")):
            time.sleep(0.005)

    def __call__(self, x: int) -> int:
        return x + 1
"""


class Held:
    """A request that runs until it is told to end."""

    def __init__(self, engine, function, mark):
        self.answer = None
        self._mark = mark
        self._thread = threading.Thread(target=self._run, args=(engine, function))
        self._thread.start()

    def _run(self, engine, function):
        self.answer = engine.call(function, str(self._mark))

    @property
    def has_begun(self):
        return self._mark.with_suffix(".begun").exists()

    def end(self):
        self._mark.with_suffix(".end").touch()

    def join(self):
        self._thread.join()
        return self.answer


def answers_of(requests):
    """End requests, in whatever order they run, and return their answers."""
    for request in requests:
        request.end()
    return [request.join() for request in requests]


@pytest.fixture(scope="module")
def engine(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("scaling") / "app.py", APP))
    return shared_engine


@pytest.fixture
def hold(engine, tmp_path):
    held = []

    def start(function, count):
        started = [Held(engine, function, tmp_path / f"{function}-{len(held) + n}") for n in range(count)]
        held.extend(started)
        return started

    yield start
    answers_of(held)


def workers(engine, function):
    return engine.function(function)["workers"]


def wait_for_workers(engine, function, **counts):
    wanted = {"starting": 0, "ready": 0, "draining": 0, **counts}
    wait_until(lambda: workers(engine, function) == wanted, what=f"{wanted} of {function}")


def begun(requests):
    return sum(request.has_begun for request in requests)


def test_functions_that_want_more_than_the_machine_has_get_their_shares(engine, hold):
    flood = hold("first", 3 * ROOM)
    wait_for_workers(engine, "first", ready=ROOM)  # nobody else wants anything
    wait_until(lambda: begun(flood) == ROOM, what="a request on each worker")

    others = hold("second", ROOM)
    wait_for_workers(engine, "second", ready=ROOM // 2)
    # What is busy finishes first: nothing is cut, and no new request goes there.
    wait_for_workers(engine, "first", ready=ROOM // 2, draining=ROOM // 2)
    wait_until(lambda: begun(others) == ROOM // 2, what="a request on each of its workers")
    assert begun(flood) == ROOM

    answers = answers_of(others)
    wait_for_workers(engine, "first", ready=ROOM, draining=ROOM // 2)  # what the other leaves comes back
    answers += answers_of(flood)
    assert {answer.status for answer in answers} == {200}
    reasons = [event["reason"] for event in engine.events("first", "scaled")]
    assert "share" in reasons
    assert engine.events("first", "worker_lost") == []


def test_a_long_request_keeps_its_own_worker_and_no_other(engine, hold):
    requests = hold("follows", 3)
    wait_until(lambda: begun(requests) == 3, what="three requests on three workers")
    long, *short = requests

    pids = {answer.json() for answer in answers_of(short)}
    wait_for_workers(engine, "follows", ready=1)
    wait_until(lambda: not pids & set(engine.live_workers("follows")), what="the end of the idle workers")
    (left,) = engine.live_workers("follows")

    (answer,) = answers_of([long])
    assert (answer.status, answer.json()) == (200, left)
    wait_for_workers(engine, "follows")
    assert engine.events("follows", "worker_lost") == []


def test_workers_that_are_given_up_while_they_are_busy_finish_what_they_have(engine, hold):
    requests = hold("rated", 3)  # from zero, the activation scale starts three workers
    wait_until(lambda: begun(requests) == 3, what="three requests on three workers")
    # Nothing arrives any more. By the rate no worker is needed; one stays for the sake of what runs.
    wait_for_workers(engine, "rated", ready=1, draining=2)

    answers = answers_of(requests)
    assert [answer.status for answer in answers] == [200] * 3
    assert len({answer.json() for answer in answers}) == 3
    wait_for_workers(engine, "rated")
    assert engine.events("rated", "worker_lost") == []


def test_a_load_longer_than_the_window_is_finished_though_its_caller_has_left(engine):
    (engine.home / "slow").touch()
    body = b"POST /function/slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1"
    with socket.create_connection(("127.0.0.1", engine.port), timeout=30) as caller:
        caller.sendall(body)
        wait_until(lambda: workers(engine, "slow")["starting"] == 1, what="a start")
    wait_until(lambda: engine.function("slow")["in_flight"] + engine.function("slow")["queued"] == 0)
    time.sleep(1.5)  # longer than the window
    (engine.home / "slow").unlink()

    wait_until(lambda: len(engine.events("slow", "worker_ready")) == 1, what="a worker that is ready")

    assert len(engine.events("slow", "worker_starting")) == 1
    assert engine.call("slow", 1).json() == 2
    wait_for_workers(engine, "slow")  # and it goes when it has been idle
    assert engine.events("slow", "worker_lost") == []


def test_probes_are_no_traffic(engine):
    (engine.home / "slow").unlink(missing_ok=True)
    assert engine.call("slow", 1).status == 200

    def probed_to_zero():
        for path in ("/health/liveness", "/health/readiness", "/metrics"):
            engine.tcp("GET", path)
        return workers(engine, "slow") == {"starting": 0, "ready": 0, "draining": 0}

    wait_until(probed_to_zero, what="zero workers under probes")
