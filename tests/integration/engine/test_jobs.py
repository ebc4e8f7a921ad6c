import os
import sqlite3
import time
from contextlib import closing, contextmanager

import msgpack
import pytest

from support.engine_process import wait_until, write_app

APP = """
from skerry.payload import Event
app = skerry.App("jobs")

@app.function(scale=skerry.Scale(initial=0))
def double(x: int) -> int:
    return 2 * x

@app.function(scale=skerry.Scale(initial=0, max=1))
def hold(path: str) -> int:
    open(path, "w").close()
    while os.path.exists(path):
        time.sleep(0.01)
    return os.getpid()

@app.function(scale=skerry.Scale(initial=0, max=1), queue=2)
def crowded(path: str) -> str:
    while os.path.exists(path):
        time.sleep(0.01)
    return "done"

@app.function(scale=skerry.Scale(initial=0, max=1), queue=0)
def unqueued(path: str) -> str:
    while os.path.exists(path):
        time.sleep(0.01)
    return "done"

@app.function(name="patient", scale=skerry.Scale(initial=0, max=1), queue=0)
def unqueued_at_zero(path: str) -> str:
    return unqueued(path)

@app.function(scale=skerry.Scale(initial=0, max=1), timeout="300ms")
def brief(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

@app.function
def fail(reason: str) -> str:
    raise KeyError(reason)

@app.function
def refuse(reason: str) -> str:
    raise skerry.UserError(reason, field="reason")

@app.function
def announce(event: Event) -> Event:
    return Event(source="/announce", type="said", data={"heard": event.data, "of": event.id})
"""


@pytest.fixture(scope="module")
def engine(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("jobs") / "app.py", APP))
    return shared_engine


@pytest.fixture
def gate(tmp_path):
    """A file for whose removal a function waits."""
    path = tmp_path / "gate"
    path.touch()
    yield path
    path.unlink(missing_ok=True)


def status_of(engine, job):
    return engine.job(job)["status"]


def test_an_accepted_job_has_an_address_a_record_and_a_result(engine):
    accepted = engine.submit("double", 21)

    job = accepted.json()["id"]
    assert accepted.status == 202
    assert accepted.headers["location"] == f"/jobs/{job}"
    assert accepted.json()["status"] == "queued"
    result = engine.job_result(job)
    assert (result.status, result.headers["content-type"], result.json()) == (200, "application/json", 42)
    record = engine.job(job)
    assert (record["function"], record["status"], record["attempts"], record["error"]) == (
        "double",
        "succeeded",
        1,
        None,
    )
    assert record["submitted_at"] <= record["started_at"] <= record["ended_at"] <= time.time()
    assert engine.job_result(job).json() == 42  # a result can be read again


def test_a_job_goes_from_queued_through_running_to_succeeded(engine, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    running = engine.submit("hold", str(first)).json()["id"]
    wait_until(first.exists)
    waiting = engine.submit("hold", str(second)).json()["id"]

    assert [status_of(engine, job) for job in (running, waiting)] == ["running", "queued"]
    early = engine.job_result(running, wait_s=0)
    assert (early.status, early.code) == (409, "job_not_ready")
    first.unlink()
    wait_until(second.exists)
    assert [status_of(engine, job) for job in (running, waiting)] == ["succeeded", "running"]
    second.unlink()
    assert engine.job_result(waiting).status == 200


def test_a_long_poll_returns_as_soon_as_the_job_ends_and_no_later_than_asked(engine, tmp_path):
    gate = tmp_path / "gate"
    job = engine.submit("hold", str(gate)).json()["id"]
    wait_until(gate.exists)

    began = time.monotonic()
    late = engine.job_result(job, wait_s=0.3)
    waited_s = time.monotonic() - began
    gate.unlink()
    began = time.monotonic()
    result = engine.job_result(job, wait_s=60)

    assert (late.status, late.code) == (409, "job_not_ready")
    assert 0.3 <= waited_s < 5
    assert result.status == 200
    assert time.monotonic() - began < 5


def test_an_unknown_job_is_not_found(engine):
    for method, path in (("GET", "/jobs/none"), ("GET", "/jobs/none/result?wait_s=5"), ("DELETE", "/jobs/none")):
        answer = engine.tcp(method, path)
        assert (answer.status, answer.code) == (404, "job_not_found")


def test_a_job_keeps_the_media_type_of_its_request_and_its_result(engine):
    packed = {"content-type": "application/msgpack", "accept": "application/msgpack", "prefer": "respond-async"}
    accepted = engine.tcp("POST", "/function/double", msgpack.packb(21), packed)

    result = engine.job_result(accepted.json()["id"])

    assert result.headers["content-type"] == "application/msgpack"
    assert msgpack.unpackb(result.body) == 42


def test_a_job_takes_and_gives_cloud_events(engine):
    headers = {
        "ce-id": "e1",
        "ce-source": "/test",
        "ce-type": "asked",
        "ce-specversion": "1.0",
        "prefer": "respond-async",
    }
    accepted = engine.tcp("POST", "/function/announce", {"x": 1}, headers)

    result = engine.job_result(accepted.json()["id"])

    assert result.status == 200, result
    assert result.headers["ce-type"] == "said"
    assert result.headers["ce-specversion"] == "1.0"
    assert result.json() == {"heard": {"x": 1}, "of": "e1"}


def test_a_failed_job_tells_what_a_direct_call_would_have_told(engine):
    failed = engine.submit("fail", "x").json()["id"]
    refused = engine.submit("refuse", "too small").json()["id"]
    malformed = engine.submit("double", "no number").json()["id"]

    answers = [engine.job_result(job) for job in (failed, refused, malformed)]

    assert [answer.headers["content-type"] for answer in answers] == ["application/problem+json"] * 3
    assert [(answer.status, answer.code) for answer in answers] == [
        (500, "handler_failed"),
        (400, "bad_request"),
        (422, "invalid_payload"),
    ]
    assert answers[1].json()["field"] == "reason"
    assert engine.job(failed)["status"] == "failed"
    error_id = engine.job(failed)["error"]["error_id"]
    assert error_id in engine.control("GET", "/functions/fail/logs").json()["text"]


def test_a_job_over_its_timeout_fails_and_one_that_waits_longer_than_that_does_not(engine):
    late = engine.submit("brief", 5).json()["id"]
    patient = [engine.submit("brief", 0.12).json()["id"] for _ in range(5)]

    assert engine.job_result(late).code == "handler_timeout"
    assert [engine.job_result(job).json() for job in patient] == ["done"] * 5


def test_a_queued_job_can_be_cancelled_and_never_runs(engine, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    running = engine.submit("hold", str(first)).json()["id"]
    wait_until(first.exists)
    queued = engine.submit("hold", str(second)).json()["id"]

    cancelled = engine.tcp("DELETE", f"/jobs/{queued}")
    first.unlink()

    assert (cancelled.status, cancelled.json()["status"]) == (200, "cancelled")
    assert engine.job_result(running).status == 200
    assert engine.job_result(queued).code == "job_not_ready"
    wait_until(lambda: engine.function("hold")["in_flight"] == 0)
    assert not second.exists()


def test_cancelling_a_running_job_ends_its_worker_and_another_serves(engine, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    job = engine.submit("hold", str(first)).json()["id"]
    wait_until(first.exists)
    before = engine.live_workers("hold")

    cancelled = engine.tcp("DELETE", f"/jobs/{job}")
    follower = engine.submit("hold", str(second)).json()["id"]
    wait_until(second.exists)
    second.unlink()

    assert cancelled.json()["status"] == "cancelled"
    assert engine.job_result(follower).json() not in before
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in before), what="the end of the worker")
    assert status_of(engine, job) == "cancelled"
    assert engine.tcp("DELETE", f"/jobs/{follower}").json()["status"] == "succeeded"  # too late: the first end wins


def test_jobs_beyond_the_queue_are_refused_with_a_time_to_come_back(engine, gate):
    running = engine.submit("crowded", str(gate)).json()["id"]
    wait_until(lambda: status_of(engine, running) == "running")
    accepted = [engine.submit("crowded", str(gate)) for _ in range(2)]

    refused = engine.submit("crowded", str(gate))

    assert [answer.status for answer in accepted] == [202, 202]
    assert (refused.status, refused.code) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    gate.unlink()
    jobs = [running, *(answer.json()["id"] for answer in accepted)]
    assert [engine.job_result(job).json() for job in jobs] == ["done"] * 3


def test_a_function_without_a_queue_serves_from_zero(engine, gate):
    gate.unlink()

    assert engine.call("patient", str(gate)).json() == "done"


def test_a_job_of_a_function_without_a_queue_waits_its_turn_and_can_be_cancelled(engine, gate):
    running = engine.submit("unqueued", str(gate)).json()["id"]
    wait_until(lambda: status_of(engine, running) == "running")
    waiting = engine.submit("unqueued", str(gate)).json()["id"]
    cancelled = engine.submit("unqueued", str(gate)).json()["id"]

    assert engine.tcp("DELETE", f"/jobs/{cancelled}").json()["status"] == "cancelled"
    state = engine.function("unqueued")
    gate.unlink()

    assert (state["queued"], state["in_flight"]) == (0, 1)
    assert [engine.job_result(job).json() for job in (running, waiting)] == ["done"] * 2
    wait_until(lambda: engine.function("unqueued")["in_flight"] == 0)


def test_a_job_that_waits_in_an_old_revision_goes_on_in_the_new_one(make_engine, tmp_path):
    engine = make_engine().start()
    source = """
        app = skerry.App("moving")

        @app.function(drain="200ms", idempotent=True, scale=skerry.Scale(max=1))
        def move(seconds: float) -> str:
            time.sleep(seconds)
            return {revision!r}
    """
    path = tmp_path / "app.py"
    engine.deploy(write_app(path, source.format(revision="old")))
    running = engine.submit("move", 1.5).json()["id"]
    waiting = [engine.submit("move", 0).json()["id"] for _ in range(3)]
    wait_until(lambda: status_of(engine, running) == "running")

    engine.deploy(write_app(path, source.format(revision="new")))

    assert [engine.job_result(job).json() for job in waiting] == ["new"] * 3


@contextmanager
def locked_records(engine):
    """Hold the lock of the records as a program does that somebody uses to look at them."""
    with closing(sqlite3.connect(engine.home / "records.sqlite3", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def test_a_job_that_ends_while_the_records_are_locked_is_recorded_later(engine, gate):
    gate.unlink()
    job = engine.submit("hold", str(gate)).json()["id"]
    wait_until(gate.exists)
    wait_until(lambda: status_of(engine, job) == "running")
    pid = engine.live_workers("hold")[-1]

    with locked_records(engine):
        gate.unlink()
        wait_until(lambda: f"job {job} is not recorded" in engine.stderr())
        began = time.monotonic()
        refused = engine.submit("double", 1)
        assert engine.call("double", 2).json() == 4
        assert time.monotonic() - began < 5  # nobody waits for the lock for long

    assert (refused.status, refused.code) == (503, "unavailable")
    assert engine.job_result(job).json() == pid
    assert pid in engine.live_workers("hold")  # its worker had nothing to do with it


def test_a_job_that_starts_while_the_records_are_locked_is_recorded_later(engine, gate):
    gate.unlink()
    other = gate.with_name("other")
    first, second = (engine.submit("hold", str(path)).json()["id"] for path in (gate, other))
    wait_until(gate.exists)

    with locked_records(engine):
        gate.unlink()
        wait_until(other.exists)
        wait_until(lambda: f"the start of job {second} is not recorded" in engine.stderr())

    wait_until(lambda: status_of(engine, second) == "running")
    other.unlink()
    assert [engine.job_result(job).status for job in (first, second)] == [200, 200]
    assert engine.job(second)["attempts"] == 1
