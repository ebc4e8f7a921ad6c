import json
import os
import sqlite3
import time
from contextlib import closing, contextmanager

import msgpack
import pytest

from support.engine_process import wait_until, write_app

APP = """
from collections.abc import Iterator
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

@app.function(scale=skerry.Scale(initial=0, max=1), timeout="3s")
def brief(seconds: float) -> str:
    time.sleep(seconds)
    return "done"

@app.function
def fail(reason: str) -> str:
    raise KeyError(reason)

@app.function
def refuse(reason: str) -> str:
    raise skerry.UserError(reason, field="reason")

@app.function(scale=skerry.Scale(initial=0))
def flaky(path: str) -> int:
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < 3:
        raise RuntimeError("not yet")
    return skerry.context().attempt

@app.function(scale=skerry.Scale(initial=0))
def count(upto: int) -> Iterator[int]:
    for number in range(upto):
        if number == 100:
            raise KeyError("too far")
        yield number

@app.function(scale=skerry.Scale(initial=0))
def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size):
        yield b"x" * 2**20

@app.function(scale=skerry.Scale(initial=0, max=1))
def order(pair: list[str]) -> None:
    gate, log = pair
    with open(log, "a") as file:
        file.write(os.path.basename(gate))
    while os.path.exists(gate):
        time.sleep(0.01)

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


def test_a_job_that_ends_while_its_caller_waits_is_answered_with_its_result(engine):
    answer = engine.submit("double", 21, headers={"prefer": "respond-async, wait=30"})
    assert (answer.status, answer.json()) == (200, 42)
    told = json.loads(answer.headers["skerry-job"])
    assert answer.headers["location"] == f"/jobs/{told['id']}"
    assert told == engine.job(told["id"])
    assert engine.job_result(told["id"]).json() == 42


def test_a_job_that_does_not_succeed_while_its_caller_waits_is_told_by_its_record(engine, gate):
    failed = engine.submit("fail", "why", headers={"prefer": "respond-async, wait=30"})
    assert (failed.status, failed.json()["status"]) == (202, "failed")
    first = gate.with_name("first")
    warm = engine.submit("hold", str(first)).json()["id"]
    wait_until(first.exists)  # there is a worker: to start one may take longer than the caller waits
    first.unlink()
    assert engine.job_result(warm).status == 200
    slow = engine.submit("hold", str(gate), headers={"prefer": "wait=1, respond-async"})
    assert (slow.status, slow.json()["status"]) == (202, "running")
    gate.unlink()
    assert engine.job_result(slow.json()["id"]).status == 200


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


def test_a_jobs_end_is_waited_for_without_its_result(engine, tmp_path):
    gate = tmp_path / "gate"
    job = engine.submit("hold", str(gate)).json()["id"]
    wait_until(gate.exists)

    assert engine.tcp("GET", f"/jobs/{job}?wait_s=0.1").json()["status"] == "running"
    gate.unlink()
    assert engine.tcp("GET", f"/jobs/{job}?wait_s=60").json()["status"] == "succeeded"


@pytest.mark.parametrize("text", ["5s", "nan"])
def test_a_time_to_wait_that_is_none_is_refused(engine, text):
    job = engine.submit("double", 21).json()["id"]

    for path in (f"/jobs/{job}?wait_s={text}", f"/jobs/{job}/result?wait_s={text}"):
        answer = engine.tcp("GET", path)
        assert (answer.status, answer.code) == (400, "malformed_body")
        assert "wait_s" in answer.json()["detail"]


def test_an_unknown_job_is_not_found(engine):
    addresses = [
        ("GET", "/jobs/none"),
        ("GET", "/jobs/none?wait_s=5"),
        ("GET", "/jobs/none/result?wait_s=5"),
        ("DELETE", "/jobs/none"),
    ]
    for method, path in (*addresses, ("PUT", "/jobs/none/retry")):
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
    late = engine.submit("brief", 15).json()["id"]
    patient = [engine.submit("brief", 0.7).json()["id"] for _ in range(5)]

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
        def move(gate: str) -> str:
            while os.path.exists(gate):
                time.sleep(0.01)
            return {revision!r}
    """
    path, gate = tmp_path / "app.py", tmp_path / "gate"
    gate.touch()
    engine.deploy(write_app(path, source.format(revision="old")))
    running = engine.submit("move", str(gate)).json()["id"]
    waiting = [engine.submit("move", "").json()["id"] for _ in range(3)]
    wait_until(lambda: status_of(engine, running) == "running")
    (old,) = engine.live_workers("move")

    engine.deploy(write_app(path, source.format(revision="new")))
    wait_until(lambda: old not in engine.processes(), what="the end of the old revision's worker")
    gate.unlink()

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


def retry(engine, job):
    return engine.tcp("PUT", f"/jobs/{job}/retry")


def test_a_job_that_failed_runs_again_under_its_id_until_it_succeeds(engine, tmp_path):
    job = engine.submit("flaky", str(tmp_path / "runs")).json()["id"]
    assert engine.job_result(job).code == "handler_failed"

    again = retry(engine, job)
    assert (again.status, again.headers["location"]) == (202, f"/jobs/{job}")
    assert (again.json()["id"], again.json()["status"], again.json()["error"]) == (job, "queued", None)
    assert engine.job_result(job).code == "handler_failed"
    assert retry(engine, job).status == 202

    assert engine.job_result(job).json() == 3  # what the handler is told is what the record says
    record = engine.job(job)
    assert (record["status"], record["attempts"], record["error"]) == ("succeeded", 3, None)
    late = retry(engine, job)
    assert (late.status, late.code) == (409, "job_not_ready")
    assert "read its result" in late.json()["detail"]


def test_a_cancelled_job_runs_again_and_nothing_of_the_first_time_ends_it(engine, gate):
    gate.unlink()
    job = engine.submit("hold", str(gate)).json()["id"]
    wait_until(gate.exists)
    wait_until(lambda: status_of(engine, job) == "running")
    first = engine.live_workers("hold")[-1]

    refused = retry(engine, job)
    assert engine.tcp("DELETE", f"/jobs/{job}").json()["status"] == "cancelled"
    gate.unlink()
    accepted = retry(engine, job)
    wait_until(gate.exists)
    wait_until(lambda: status_of(engine, job) == "running")
    gate.unlink()

    assert (refused.status, refused.code) == (409, "job_not_ready")
    assert "wait for its end, or cancel it first" in refused.json()["detail"]
    assert accepted.status == 202
    assert engine.job_result(job).json() != first
    assert engine.job(job)["attempts"] == 2


def test_a_job_that_waits_is_not_retried(engine, gate):
    running = engine.submit("crowded", str(gate)).json()["id"]
    wait_until(lambda: status_of(engine, running) == "running")
    waiting = engine.submit("crowded", str(gate)).json()["id"]

    refused = retry(engine, waiting)

    assert (refused.status, refused.code) == (409, "job_not_ready")
    assert "it will run by itself" in refused.json()["detail"]
    gate.unlink()
    assert [engine.job_result(job).json() for job in (running, waiting)] == ["done"] * 2


def test_a_retry_finds_room_in_the_queue_or_is_told_to_come_back(engine, gate):
    running = engine.submit("crowded", str(gate)).json()["id"]
    wait_until(lambda: status_of(engine, running) == "running")
    cancelled = engine.submit("crowded", str(gate)).json()["id"]
    assert engine.tcp("DELETE", f"/jobs/{cancelled}").status == 200
    accepted = [engine.submit("crowded", str(gate)).json()["id"] for _ in range(2)]

    refused = retry(engine, cancelled)
    assert (refused.status, refused.code) == (429, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert status_of(engine, cancelled) == "cancelled"

    gate.unlink()
    assert [engine.job_result(job).json() for job in (running, *accepted)] == ["done"] * 3
    assert retry(engine, cancelled).status == 202
    assert engine.job_result(cancelled).json() == "done"


def test_a_job_whose_function_is_gone_is_not_retried(engine, tmp_path):
    source = """
        app = skerry.App("passing")

        @app.function(name="passes", scale=skerry.Scale(initial=0))
        def passes(x: int) -> int:
            raise ValueError(x)
    """
    engine.deploy(write_app(tmp_path / "app.py", source))
    job = engine.submit("passes", 1).json()["id"]
    assert engine.job_result(job).code == "handler_failed"
    engine.control("DELETE", "/apps/passing")

    refused = retry(engine, job)

    assert (refused.status, refused.code) == (404, "not_found")
    assert status_of(engine, job) == "failed"


def test_a_retried_job_survives_the_death_of_the_engine(make_engine, tmp_path):
    engine = make_engine().start()
    source = """
        app = skerry.App("stubborn")

        @app.function(scale=skerry.Scale(initial=0, max=1))
        def once(path: str) -> int:
            while os.path.exists(path):
                time.sleep(0.01)
            return skerry.context().attempt
    """
    gate = tmp_path / "gate"
    gate.touch()
    engine.deploy(write_app(tmp_path / "app.py", source))
    busy, queued = (engine.submit("once", str(gate)).json()["id"] for _ in range(2))
    wait_until(lambda: status_of(engine, busy) == "running")
    assert engine.tcp("DELETE", f"/jobs/{queued}").json()["status"] == "cancelled"
    assert retry(engine, queued).status == 202
    engine.kill()
    gate.unlink()

    engine.start()

    assert engine.job_result(queued).json() == 1  # accepted again, and never begun before
    lost = engine.job(busy)
    assert (lost["status"], lost["error"]["code"]) == ("failed", "worker_lost")  # it may have run: nobody repeats it
    assert retry(engine, busy).status == 202  # but whoever knows that it may run twice
    assert engine.job_result(busy).json() == 2
    assert engine.job(busy)["attempts"] == 2


def test_a_job_of_a_generator_has_its_whole_stream_as_its_result(engine):
    lines = engine.submit("count", 4).json()["id"]
    packed = engine.submit("count", 3, headers={"accept": "application/msgpack"}).json()["id"]
    events = engine.submit("count", 2, headers={"accept": "text/event-stream"}).json()["id"]
    large = engine.submit("chunks", 3).json()["id"]  # more than a worker may send ahead

    result = engine.job_result(lines)
    assert (result.status, result.headers["content-type"], result.body) == (
        200,
        "application/x-ndjson",
        b"0\n1\n2\n3\n",
    )
    unpacker = msgpack.Unpacker()
    unpacker.feed(engine.job_result(packed).body)
    assert list(unpacker) == [0, 1, 2]
    assert engine.job_result(events).body == b"data: 0\n\ndata: 1\n\n"
    result = engine.job_result(large)
    assert (result.headers["content-type"], result.body) == ("application/octet-stream", b"x" * 3 * 2**20)


@pytest.mark.parametrize("accept", ["application/json", "application/msgpack"])
def test_a_job_whose_stream_breaks_has_failed_and_nothing_of_the_stream_is_its_result(engine, accept):
    job = engine.submit("count", 200, headers={"accept": accept}).json()["id"]

    result = engine.job_result(job)

    assert (result.status, result.code) == (500, "handler_failed")
    assert status_of(engine, job) == "failed"


def test_a_job_whose_stream_does_not_end_fails_instead_of_filling_the_memory(engine):
    job = engine.submit("chunks", 10_000).json()["id"]

    result = engine.job_result(job, wait_s=60)

    assert (result.status, result.code) == (500, "handler_failed")
    assert "larger than the 256 MiB" in result.json()["detail"]
    assert engine.job_result(engine.submit("chunks", 1).json()["id"]).status == 200


def test_the_deadline_of_the_request_that_submits_does_not_end_the_job(engine, gate):
    job = engine.submit("hold", str(gate), headers={"skerry-timeout-ms": "50"}).json()["id"]
    assert engine.job_result(job, wait_s=0.3).code == "job_not_ready"  # six deadlines later
    gate.unlink()

    assert engine.job_result(job).status == 200
    malformed = engine.submit("hold", str(gate), headers={"skerry-timeout-ms": "soon"})
    assert (malformed.status, malformed.code) == (400, "malformed_body")


def test_jobs_run_by_their_priority_also_after_a_restart(make_engine, tmp_path):
    engine = make_engine().start()
    engine.deploy(write_app(tmp_path / "app.py", APP))
    gates = {name: tmp_path / name for name in "abcd"}
    log = tmp_path / "log"
    gates["a"].touch()

    def submit(name, **headers):
        return engine.submit("order", [str(gates[name]), str(log)], headers=headers).json()["id"]

    first = submit("a")
    wait_until(log.exists)
    jobs = [submit("b"), submit("c", priority="u=6"), submit("d", priority="u=0")]
    engine.kill()
    gates["a"].unlink()
    log.unlink()
    engine.start()

    assert engine.job_result(first).code == "worker_lost"
    assert [engine.job_result(job).status for job in jobs] == [200] * 3
    assert log.read_text() == "dbc"


def test_the_newest_jobs_are_listed_to_whoever_holds_the_token(engine, tmp_path):
    failed = engine.submit("fail", "x").json()["id"]
    assert engine.job_result(failed).code == "handler_failed"
    done = engine.submit("double", 4).json()["id"]
    assert engine.job_result(done).json() == 8

    def listed(query):
        return [job["id"] for job in engine.control("GET", f"/jobs{query}").json()]

    assert listed("?limit=2") == [done, failed]
    assert listed("?function=fail&limit=1") == [failed]
    assert failed in listed("?status=failed")
    assert done not in listed("?status=failed")
    for query in ("?status=lost", "?limit=0", "?limit=x", "?limit=10001"):
        assert engine.control("GET", f"/jobs{query}").code == "malformed_body"
    for path in ("/jobs", "/jobs/", "/jobs//", "/jobs/%2f", "/jobs/%2F?limit=1", "//jobs"):
        assert engine.tcp("GET", path).status == 401, path


def test_what_a_cancelled_attempt_could_not_record_is_not_the_result_of_the_next(engine, gate):
    gate.unlink()

    def cancel_unrecorded():
        job = engine.submit("hold", str(gate)).json()["id"]
        wait_until(gate.exists)
        wait_until(lambda: status_of(engine, job) == "running")
        with locked_records(engine):
            gate.unlink()
            wait_until(lambda: f"job {job} is not recorded" in engine.stderr())
        return job, engine.tcp("DELETE", f"/jobs/{job}").json()["status"]

    for _ in range(3):  # on a slow machine the next attempt to record may come first
        job, cancelled = cancel_unrecorded()
        if cancelled == "cancelled":
            break
    accepted = retry(engine, job).status
    wait_until(gate.exists)
    early = engine.job_result(job, wait_s=1.5)  # longer than until the next attempt to record
    gate.unlink()

    assert (cancelled, accepted) == ("cancelled", 202)
    assert (early.status, early.code) == (409, "job_not_ready")
    assert engine.job_result(job).status == 200
    assert engine.job(job)["attempts"] == 2
