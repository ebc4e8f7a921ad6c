import json
import os
import threading
import time

import pytest

from skerry.errors import (
    AnswerTooLargeError,
    DeadlineExceededError,
    EngineNotRunningError,
    HandlerError,
    InvalidPayloadError,
    JobNotReadyError,
    QueueFullError,
    TransportError,
    WorkerLostError,
)
from skerry.platforms import CallOptions
from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.http.caller import Remote

JSON = "application/json"
JOB = {"id": "j1", "function": "train", "status": "running", "attempts": 1, "more": "than is known"}


@pytest.fixture
def engine(stub):
    client = EnginePlatform(stub.path, patience_s=5)
    yield client
    client.close()


def test_invoke_posts_the_body_and_returns_the_answer(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(body=b"[1]", headers={"X-Extra": "yes"}))

    answer = engine.invoke("train", b"7", content_type=JSON, accept="application/msgpack")

    assert (answer.body, answer.content_type, answer.headers["x-extra"]) == (b"[1]", JSON, "yes")
    method, path, body, headers = server.requests[0]
    assert (method, path, body) == ("POST", "/function/train", b"7")
    assert (headers["content-type"], headers["accept"]) == (JSON, "application/msgpack")


def test_a_problem_becomes_its_typed_error(stub, engine):
    stub.serve(lambda *_: stub.problem(InvalidPayloadError("x: not a number", errors=[{"field": "x"}])))

    with pytest.raises(InvalidPayloadError, match="not a number") as caught:
        engine.invoke("train", b"7", content_type=JSON)

    assert caught.value.details["errors"] == [{"field": "x"}]


def test_an_answer_larger_than_is_taken_from_a_site_is_refused_once_and_for_all(stub):
    server = stub.serve(lambda *_: stub.Reply(body=bytes(2001)))
    client = EnginePlatform(stub.path, patience_s=5, remote=Remote(site="edge-1", most_answer_bytes=2000))

    with pytest.raises(AnswerTooLargeError) as caught:
        client.invoke("train", b"7", content_type=JSON, options=CallOptions(idempotent=True))
    client.close()

    assert "site 'edge-1'" in caught.value.message
    assert "larger than 2000 bytes" in caught.value.message
    assert "max_answer" in caught.value.details["hint"]
    assert not caught.value.retryable
    assert len(server.requests) == 1


def test_an_engine_is_asked_to_follow_aliases_for_a_while(stub, engine):
    follow = threading.Event()
    server = stub.serve(lambda *_: stub.Reply(body=[]) if follow.wait(30) else None)

    with pytest.raises(DeadlineExceededError):
        engine.follow_aliases(timeout_s=0.05)
    follow.set()
    engine.follow_aliases(timeout_s=60)

    assert {request[:2] for request in server.requests} == {("POST", "/models/refresh")}


def test_an_error_that_is_not_skerrys_is_a_transport_error(stub, engine):
    stub.serve(lambda *_: stub.Reply(500, b"<html>proxy</html>"))

    with pytest.raises(TransportError, match="500"):
        engine.invoke("train", b"7", content_type=JSON)


def test_a_full_queue_is_tried_again(stub, engine):
    answers = iter([stub.problem(QueueFullError("full"), Retry_After="0"), stub.Reply(body=b"1")])
    server = stub.serve(lambda *_: next(answers))

    assert engine.invoke("train", b"7", content_type=JSON).body == b"1"
    assert len(server.requests) == 2


def test_a_full_queue_is_an_error_when_the_patience_is_over(stub):
    stub.serve(lambda *_: stub.problem(QueueFullError("full"), Retry_After="1"))

    with pytest.raises(QueueFullError):
        EnginePlatform(stub.path, patience_s=0.5).invoke("train", b"7", content_type=JSON)


@pytest.mark.parametrize(("idempotent", "calls"), [(True, 2), (False, 1)])
def test_a_lost_answer_is_asked_for_again_only_for_idempotent_functions(stub, engine, idempotent, calls):
    answers = iter([stub.Reply(drop=True), stub.Reply(body=b"1")])
    server = stub.serve(lambda *_: next(answers))

    if idempotent:
        assert engine.invoke("train", b"7", content_type=JSON, options=CallOptions(idempotent=True)).body == b"1"
    else:
        with pytest.raises(TransportError):
            engine.invoke("train", b"7", content_type=JSON)
    assert len(server.requests) == calls


def test_a_lost_worker_is_an_error_for_other_functions(stub, engine):
    stub.serve(lambda *_: stub.problem(WorkerLostError("died")))

    with pytest.raises(WorkerLostError):
        engine.invoke("train", b"7", content_type=JSON)


def test_an_engine_that_was_never_there_is_reported_at_once(engine):
    with pytest.raises(EngineNotRunningError, match="no engine is running") as caught:
        engine.functions()

    assert "skerry deploy FILE" in caught.value.details["hint"]


def test_an_engine_that_was_killed_is_told_by_what_it_has_left(stub, engine):
    folder = stub.path.parent
    (folder / "engine.json").write_text(json.dumps({"pid": 2**22 + 1, "address": "http://127.0.0.1:1", "version": "1"}))

    with pytest.raises(EngineNotRunningError, match=r"the last one \(process 4194305\) ended without being") as caught:
        engine.functions()

    assert f"`skerry engine start --home {folder}` serves its apps again" in caught.value.details["hint"]
    assert "see" not in caught.value.message

    (folder / "engine.log").touch()
    with pytest.raises(EngineNotRunningError, match=f"being stopped: see {folder}/engine.log"):
        engine.functions()


@pytest.mark.parametrize(
    "text", [json.dumps({"pid": os.getpid()}), "{", "[]", "{}"], ids=["alive", "torn", "list", "empty"]
)
def test_a_file_that_names_no_killed_engine_says_nothing(stub, engine, text):
    (stub.path.parent / "engine.json").write_text(text)

    with pytest.raises(EngineNotRunningError) as caught:
        engine.functions()

    assert "the last one" not in caught.value.message


def test_an_engine_that_went_away_is_reported_when_the_patience_is_over(stub):
    engine = EnginePlatform(stub.path, patience_s=0.2)
    with stub.serving(lambda *_: stub.Reply(body=[], headers={"Connection": "close"})):
        engine.functions()

    with pytest.raises(EngineNotRunningError):
        engine.functions()


def test_an_engine_that_restarts_only_delays_a_call(stub, engine):
    with stub.serving(lambda *_: stub.Reply(body=b"1", headers={"Connection": "close"})):
        engine.invoke("train", b"7", content_type=JSON)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(engine.invoke("train", b"7", content_type=JSON).body))
    caller.start()
    stub.serve(lambda *_: stub.Reply(body=b"2"))
    caller.join(10)

    assert answers == [b"2"]


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.job("j1"),
        lambda engine: engine.result("j1", timeout_s=0),
        lambda engine: engine.run("r1"),
        lambda engine: engine.run_result("r1"),
    ],
    ids=["job", "result", "run", "run_result"],
)
def test_a_question_about_now_waits_for_no_engine_that_was_killed(stub, ask):
    engine = EnginePlatform(stub.path, patience_s=20)
    with stub.serving(lambda *_: stub.Reply(body=[], headers={"Connection": "close"})):
        engine.functions()
    (stub.path.parent / "engine.json").write_text(json.dumps({"pid": 2**22 + 1}))

    began_s = time.monotonic()
    with pytest.raises(EngineNotRunningError, match="ended without being stopped"):
        ask(engine)
    assert time.monotonic() - began_s < 10


def test_who_waits_for_a_job_waits_for_an_engine_that_was_killed_and_comes_back(stub, engine):
    with stub.serving(lambda *_: stub.Reply(body=[], headers={"Connection": "close"})):
        engine.functions()
    (stub.path.parent / "engine.json").write_text(json.dumps({"pid": 2**22 + 1}))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(engine.job("j1", wait_s=1).status))
    caller.start()
    stub.serve(lambda *_: stub.Reply(body=JOB))
    caller.join(10)

    assert answers == ["running"]


def test_submit_asks_not_to_wait(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(202, JOB, {"Location": "/jobs/j1"}))

    record = engine.submit("train", b"7", content_type=JSON)

    assert (record.id, record.status, record.attempts) == ("j1", "running", 1)
    assert server.requests[0][3]["prefer"] == "respond-async"


def test_a_job_that_ended_while_one_waited_brings_its_answer(stub, engine):
    told = json.dumps({**JOB, "status": "succeeded", "submitted_at": 1.0, "ended_at": 3.0, "answer": "no answer"})
    server = stub.serve(lambda *_: stub.Reply(body=b"42", headers={"Skerry-Job": told}))

    record = engine.submit("train", b"7", content_type=JSON, options=CallOptions(wait_s=1.5))

    assert (record.id, record.status, record.ended_at, record.answer.body) == ("j1", "succeeded", 3.0, b"42")
    assert server.requests[0][3]["prefer"] == "respond-async, wait=2"


def test_result_waits_until_the_job_has_ended(stub, engine):
    results = iter([stub.problem(JobNotReadyError("not yet")), stub.Reply(body=b"42")])
    stub.serve(lambda method, path, *_: next(results) if "/result" in path else stub.Reply(body=JOB))

    assert engine.result("j1", timeout_s=30).body == b"42"


def test_result_gives_up_when_the_time_is_over(stub, engine):
    not_ready = stub.problem(JobNotReadyError("not yet"))
    stub.serve(lambda method, path, *_: not_ready if "/result" in path else stub.Reply(body=JOB))

    with pytest.raises(JobNotReadyError, match=r"has not ended within 0\.1 s; it is running"):
        engine.result("j1", timeout_s=0.1)


def test_the_result_of_a_cancelled_job_is_an_error(stub, engine):
    cancelled = {**JOB, "status": "cancelled"}
    not_ready = stub.problem(JobNotReadyError("no"))
    stub.serve(lambda method, path, *_: not_ready if "/result" in path else stub.Reply(body=cancelled))

    with pytest.raises(JobNotReadyError, match="was cancelled"):
        engine.result("j1")
    assert engine.cancel("j1").status == "cancelled"


def test_a_retry_is_asked_for(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(202, {**JOB, "status": "queued"}))
    assert engine.retry("j1").status == "queued"
    assert [request[:2] for request in server.requests] == [("PUT", "/jobs/j1/retry")]


def test_a_retry_whose_answer_is_lost_is_not_sent_again(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(drop=True))

    with pytest.raises(TransportError):
        engine.retry("j1")
    assert len(server.requests) == 1


def test_jobs_are_listed_by_what_is_asked_for(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(body=[JOB]))

    assert [job.id for job in engine.jobs(function="train", status="failed", limit=3)] == ["j1"]
    assert len(engine.jobs()) == 1
    paths = [request[1] for request in server.requests]
    assert paths == ["/jobs?function=train&status=failed&limit=3", "/jobs?limit=100"]


def test_the_result_of_a_failed_job_is_its_error(stub, engine):
    stub.serve(lambda *_: stub.problem(HandlerError("function 'train' failed", error_id="e1")))

    with pytest.raises(HandlerError) as caught:
        engine.result("j1")

    assert caught.value.details["error_id"] == "e1"


def test_control_calls_use_the_documented_paths(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(body={"text": "", "offset": 0}))

    engine.engine()
    engine.deploy("/a/app.py:app", flags=["f.cpu=2"], environment="f.cpu=1")
    engine.delete_app("news")
    engine.function("train")
    engine.logs("train", tail=5)
    engine.logs("train", offset=99)
    engine.events(function="train", since_s=1.5)
    engine.stop()

    assert [f"{method} {path}" for method, path, _, _ in server.requests] == [
        "GET /engine",
        "POST /apps",
        "DELETE /apps/news",
        "GET /functions/train",
        "GET /functions/train/logs?tail=5",
        "GET /functions/train/logs?offset=99",
        "GET /events?function=train&since=1.5",
        "POST /engine/stop",
    ]
    sent = json.loads(server.requests[1][2])
    assert sent == {"target": "/a/app.py:app", "flags": ["f.cpu=2"], "environment": "f.cpu=1"}


def test_a_token_goes_with_every_request(stub):
    server = stub.serve(lambda *_: stub.Reply(body=[]))

    EnginePlatform(stub.path, token="secret").functions()

    assert server.requests[0][3]["authorization"] == "Bearer secret"
