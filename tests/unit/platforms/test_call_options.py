import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DeadlineExceededError, QueueFullError, SpecError, TransportError
from skerry.platforms import CallOptions
from skerry.platforms.engine.client import EnginePlatform

JSON = "application/json"


@pytest.fixture
def engine(stub):
    client = EnginePlatform(stub.path, patience_s=5)
    yield client
    client.close()


def test_every_option_has_its_header(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(body=b"1"))
    options = CallOptions(
        timeout_s=30, priority=1, group="a b", weight=2, traceparent="00-a-b-01", tracestate="k=v", idempotent=True
    )

    engine.invoke("f", b"7", content_type=JSON, options=options)

    headers = server.requests[0][3]
    assert 29_000 < int(headers["skerry-timeout-ms"]) <= 30_000
    assert (headers["priority"], headers["skerry-group"], headers["skerry-weight"]) == ("u=1", "a b", "2.0")
    assert (headers["traceparent"], headers["tracestate"]) == ("00-a-b-01", "k=v")


def test_a_plain_call_has_none_of_the_headers(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(body=b"1"))

    engine.invoke("f", b"7", content_type=JSON)

    names = {"skerry-timeout-ms", "priority", "skerry-group", "skerry-weight", "traceparent", "tracestate"}
    assert not names & set(server.requests[0][3])


def test_a_job_has_a_trace_and_no_deadline(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(202, {"id": "j", "function": "f", "status": "queued"}))

    engine.submit("f", b"7", content_type=JSON, options=CallOptions(timeout_s=1, traceparent="00-a-b-01"))

    headers = server.requests[0][3]
    assert "skerry-timeout-ms" not in headers
    assert (headers["prefer"], headers["traceparent"]) == ("respond-async", "00-a-b-01")


@given(st.floats(1e-9, 86_400))
def test_what_is_left_is_never_sent_as_no_deadline(left_s):
    sent = int(CallOptions().headers(left_s=left_s)["Skerry-Timeout-Ms"])

    assert sent >= 1
    assert sent - 1 <= left_s * 1000 <= sent


@given(st.floats(1e-6, 1e12))
def test_a_weight_comes_back_from_its_header(weight):
    assert float(CallOptions(weight=weight).headers()["Skerry-Weight"]) == weight


@pytest.mark.parametrize("timeout_s", [0, -1.0, 86_401])
def test_a_timeout_out_of_range_is_refused(timeout_s):
    with pytest.raises(SpecError, match="timeout"):
        CallOptions(timeout_s=timeout_s)


def test_a_client_gives_up_by_itself_a_little_after_the_deadline(stub, engine):
    release = threading.Event()
    stub.serve(lambda *_: release.wait(10) and stub.Reply())

    with pytest.raises(DeadlineExceededError, match=r"no answer within the call's timeout of 0\.05 s") as caught:
        engine.invoke("f", b"7", content_type=JSON, options=CallOptions(timeout_s=0.05, idempotent=True))
    release.set()

    assert isinstance(caught.value.__cause__, TransportError)


def test_the_servers_own_word_on_a_deadline_is_what_the_caller_gets(stub, engine):
    server = stub.serve(lambda *_: stub.problem(DeadlineExceededError("waited 50 ms in the queue")))

    with pytest.raises(DeadlineExceededError, match="in the queue"):
        engine.invoke("f", b"7", content_type=JSON, options=CallOptions(timeout_s=5, idempotent=True))
    assert len(server.requests) == 1


def test_a_full_queue_that_asks_for_more_time_than_is_left_is_an_error_at_once(stub, engine):
    server = stub.serve(lambda *_: stub.problem(QueueFullError("full"), Retry_After="2"))

    with pytest.raises(QueueFullError):
        engine.invoke("f", b"7", content_type=JSON, options=CallOptions(timeout_s=1))
    assert len(server.requests) == 1


def test_an_attempt_is_told_what_is_left_of_the_deadline(stub, engine):
    answers = iter([stub.problem(QueueFullError("full"), Retry_After="0.2"), stub.Reply(body=b"1")])
    server = stub.serve(lambda *_: next(answers))

    engine.invoke("f", b"7", content_type=JSON, options=CallOptions(timeout_s=5))

    first, second = (int(request[3]["skerry-timeout-ms"]) for request in server.requests)
    assert first - second >= 190


def test_a_stream_begins_before_it_ends(stub, engine):
    release = threading.Event()

    def chunks():
        yield b"1\n"
        release.wait(10)
        yield b"2\n"

    server = stub.serve(lambda *_: stub.Reply(headers={"Content-Type": "application/x-ndjson"}, chunks=chunks()))

    with engine.stream("f", b"7", content_type=JSON, accept="x/y") as stream:
        assert stream.content_type == "application/x-ndjson"
        assert stream.read() == b"1\n"
        release.set()
        assert list(stream) == [b"2\n"]
    assert server.requests[0][3]["accept"] == "x/y"


def test_a_stream_that_was_refused_is_tried_again_and_then_an_error(stub, engine):
    answers = iter([stub.problem(QueueFullError("full"), Retry_After="0"), stub.Reply(chunks=[b"1"])])
    server = stub.serve(lambda *_: next(answers))
    with engine.stream("f", b"", content_type=JSON) as stream:
        assert list(stream) == [b"1"]

    server.answer = lambda *_: stub.problem(QueueFullError("full"), Retry_After="60")
    with pytest.raises(QueueFullError):
        engine.stream("f", b"", content_type=JSON)


def test_a_stream_ends_with_its_deadline(stub, engine):
    release = threading.Event()

    def chunks():
        yield b"1"
        release.wait(10)

    stub.serve(lambda *_: stub.Reply(chunks=chunks()))
    with engine.stream("f", b"", content_type=JSON, options=CallOptions(timeout_s=0.1)) as stream:
        assert stream.read() == b"1"
        with pytest.raises(DeadlineExceededError):
            stream.read()
    release.set()


def test_a_stream_that_began_is_not_asked_for_again(stub, engine):
    server = stub.serve(lambda *_: stub.Reply(chunks=[b"1", None]))

    with (
        engine.stream("f", b"", content_type=JSON, options=CallOptions(idempotent=True)) as stream,
        pytest.raises(TransportError),
    ):
        list(stream)
    assert len(server.requests) == 1
