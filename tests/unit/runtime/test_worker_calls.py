"""The loop of plain handlers that answer calls one by one, in a process of its own."""

import os
import time
from typing import Annotated

import msgpack
import numpy as np
import orjson
import pytest
from typing_extensions import TypedDict

from skerry.errors import InvalidPayloadError
from skerry.payload import Event, Tensor
from skerry.runtime.context import context
from skerry.runtime.frames import Codec, Kind, encode_frame
from support.worker_process import WorkerProcess


class Image(TypedDict):
    image: list[float]


def echo(x):
    return x


def answer_of(handler, body, **frame):
    with WorkerProcess(handler) as worker:
        worker.call(7, body, **frame)
        return worker.answers(1)[7]


def test_a_json_call_is_answered_with_json():
    answer = answer_of(echo, b'{"message":"hello","number":42}')
    assert (answer.kind, answer.codec, answer.meta) == (Kind.RESULT, Codec.JSON, {})
    assert answer.body == b'{"message":"hello","number":42}'


def test_the_answer_says_how_long_the_handler_ran():
    def slow(x):
        time.sleep(0.02)  # the handler's own time is what is measured
        return x

    assert 20_000 <= answer_of(slow, b"1").time < 10_000_000


def test_metadata_about_the_trace_change_nothing_about_the_answer():
    assert answer_of(echo, b"[1]", meta={"traceparent": "00-1-2-01"}).body == b"[1]"


@pytest.mark.parametrize(
    ("frame", "codec"),
    [
        ({"codec": Codec.MSGPACK, "meta": {"accept": "application/msgpack"}}, Codec.MSGPACK),
        ({"codec": Codec.MSGPACK}, Codec.JSON),
    ],
)
def test_message_pack_is_read_and_written(frame, codec):
    answer = answer_of(echo, msgpack.packb({"a": 1}), **frame)
    assert answer.codec == codec
    assert (msgpack.unpackb if codec else orjson.loads)(answer.body) == {"a": 1}


def test_several_parameters_are_filled_by_name():
    def add(a: int, b: int = 2) -> int:
        return a + b

    assert answer_of(add, b'{"a":1}').body == b"3"


def test_a_wrong_body_is_refused_with_its_reason():
    def scale(x: Image) -> float:
        return sum(x["image"])

    answer = answer_of(scale, b'{"image":[1,"a"]}')
    assert answer.kind == Kind.ERROR
    assert answer.meta == {"status": 422}
    assert orjson.loads(answer.body)["errors"][0]["field"] == "x.image.1"


def test_a_body_that_is_no_json_is_refused():
    answer = answer_of(echo, b"{")
    assert answer.meta == {"status": 400}
    assert orjson.loads(answer.body)["code"] == "malformed_body"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(float("nan"), "nan"), ({"a": [float("inf")]}, "inf"), (object(), "object"), (2**70, "Integer")],
)
def test_a_result_that_json_cannot_say_fails_the_call(value, reason):
    answer = answer_of(lambda _: value, b"1")
    assert answer.kind == Kind.ERROR
    assert "cannot be" in orjson.loads(answer.body)["detail"] or "JSON has no" in orjson.loads(answer.body)["detail"]
    assert reason in orjson.loads(answer.body)["detail"]


def test_none_is_a_result():
    assert answer_of(lambda _: None, b"1").body == b"null"


def test_a_typed_result_is_checked():
    def wrong(x) -> Image:
        return {"image": "abc"}

    answer = answer_of(wrong, b"1")
    assert answer.meta == {"status": 500}
    assert "image" in orjson.loads(answer.body)["detail"]


def test_an_event_goes_out_with_its_headers():
    answer = answer_of(lambda _: Event(type="a.b", id="1", data={"x": 1}), b"1")
    assert answer.meta["headers"]["ce-type"] == "a.b"
    assert answer.body == b'{"x":1}'


def test_an_array_is_read_and_written():
    def double(x: Annotated[np.ndarray, Tensor("float64", (2,))]) -> Annotated[np.ndarray, Tensor("float64", (2,))]:
        return 2 * x

    assert orjson.loads(answer_of(double, b"[1.5,2]").body)["shape"] == [2]


def test_an_error_is_told_and_its_traceback_is_not():
    def fail(x):
        raise ValueError("secret")

    answer = answer_of(fail, b"1")
    assert b"secret" not in answer.body
    assert answer.meta == {"status": 500}


def test_an_error_of_the_caller_is_told_as_it_is():
    def fail(x):
        raise InvalidPayloadError("too dark", hint="lamp")

    assert orjson.loads(answer_of(fail, b"1").body)["hint"] == "lamp"


def test_an_error_whose_details_have_no_json_form_is_answered():
    def fail(x):
        raise InvalidPayloadError("\ud800", **{"a": {1: 2}})

    assert answer_of(fail, b"1").kind == Kind.ERROR


def test_a_handler_that_exits_is_answered_and_the_worker_lives():
    def leave(x):
        if x:
            raise SystemExit(3)
        return 1

    with WorkerProcess(leave) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"1"), encode_frame(Kind.CALL, 2, b"0"))
        answers = worker.answers(2)
        assert [answers[1].kind, answers[2].kind] == [Kind.ERROR, Kind.RESULT]


def test_calls_of_one_write_are_answered_in_order():
    with WorkerProcess(echo) as worker:
        worker.send(*(encode_frame(Kind.CALL, n, b"%d" % n) for n in range(1, 2001)))
        answers = worker.answers(2000)
    assert list(answers) == list(range(1, 2001))
    assert all(answers[n].body == b"%d" % n for n in answers)


def test_large_bodies_pass():
    body = orjson.dumps("x" * 3_000_000)
    with WorkerProcess(echo) as worker:
        worker.send(encode_frame(Kind.CALL, 1, body), encode_frame(Kind.CALL, 2, b"1"))
        answers = worker.answers(2)
    assert answers[1].body == body
    assert answers[2].body == b"1"


def test_an_answer_that_waits_for_the_next_call_lies_on_the_page(monkeypatch):
    monkeypatch.setattr("skerry.runtime.calls.HOLD_NS", 60_000_000_000)

    def block(fd):
        if fd:
            os.read(fd, 1)
        return fd

    ours, theirs = os.pipe()
    with WorkerProcess(block) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"0"), encode_frame(Kind.CALL, 2, b"%d" % ours))
        while worker.running != 2:
            os.sched_yield()
        assert [frame.number for frame in worker.held] == [1]
        os.write(theirs, b"x")
        assert set(worker.answers(2)) == {1, 2}
        while worker.held:  # it is sent first, and then forgotten
            os.sched_yield()
    os.close(ours)
    os.close(theirs)


def test_stop_comes_after_the_calls_before_it():
    with WorkerProcess(echo) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"1"))
        assert [frame.number for frame in worker.stop()] == [1]


def test_a_call_whose_deadline_has_passed_does_not_run():
    def slow(x):
        time.sleep(x)  # makes the calls behind it late
        return x

    with WorkerProcess(slow) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"0.05"), encode_frame(Kind.CALL, 2, b"0", time=20))
        worker.send(encode_frame(Kind.CALL, 3, b"0", time=60_000))
        answers = worker.answers(3)
    assert answers[2].meta == {"status": 504}
    assert orjson.loads(answers[2].body)["code"] == "deadline_exceeded"
    assert answers[3].kind == Kind.RESULT


def test_the_context_of_a_call():
    def look(x):
        known = context()
        return [known.deadline_s, known.attempt, known.traceparent, known.tracestate]

    meta = {"attempt": 3, "traceparent": "tp", "tracestate": "ts"}
    began_s = time.monotonic()
    deadline_s, *rest = orjson.loads(answer_of(look, b"1", meta=meta, time=5000).body)
    assert 5 - (time.monotonic() - began_s) <= deadline_s <= 5
    assert rest == [3, "tp", "ts"]
    assert orjson.loads(answer_of(look, b"1").body) == [None, 1, None, None]


def test_a_call_that_was_cancelled_before_it_began_does_not_run():
    ours, theirs = os.pipe()

    def block(fd):
        os.read(fd, 1)
        return fd

    with WorkerProcess(block) as worker:
        worker.send(*(encode_frame(Kind.CALL, n, b"%d" % ours) for n in (1, 2, 3)))
        while worker.running != 1:
            os.sched_yield()
        worker.cancel(3, interrupt=False)
        worker.cancel(2, interrupt=False)
        os.write(theirs, b"x")
        answers = worker.answers(3)
    assert [answers[n].kind for n in (1, 2, 3)] == [Kind.RESULT, Kind.ERROR, Kind.ERROR]
    os.close(ours)
    os.close(theirs)


def test_a_call_in_progress_is_ended_by_the_signal():
    def sleep(x):
        if x:
            time.sleep(60)
        return x

    with WorkerProcess(sleep) as worker:
        worker.call(1, b"1")
        while worker.running != 1:
            os.sched_yield()
        worker.cancel(1)
        assert worker.answers(1)[1].kind == Kind.ERROR
        worker.call(2, b"0")
        assert worker.answers(1)[2].kind == Kind.RESULT
