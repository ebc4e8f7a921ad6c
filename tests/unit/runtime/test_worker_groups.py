"""Groups: calls that one call of a handler answers together."""

import os
import time

import msgpack
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import TypedDict

from skerry.errors import InvalidPayloadError
from skerry.payload import Event, Items
from skerry.runtime.context import context
from skerry.runtime.frames import Codec, Kind, encode_frame
from skerry.runtime.grouping import split_time
from support.worker_process import WorkerProcess


class Label(TypedDict):
    label: int


def batch(numbers, bodies, **frame):
    frames = [encode_frame(Kind.CALL, n, body, **frame) for n, body in zip(numbers, bodies, strict=True)]
    return encode_frame(Kind.BATCH, len(frames)) + b"".join(frames)


def label(xs: Items[int]) -> list[Label | Exception]:
    return [{"label": x} if x >= 0 else InvalidPayloadError("below zero") for x in xs]


async def label_later(xs: Items[int]) -> list[Label | Exception]:
    return label(xs)


@pytest.fixture(params=[label, label_later], ids=["plain", "async"])
def worker(request):
    with WorkerProcess(request.param) as worker:
        yield worker


def kinds(answers):
    return [answers[n].kind for n in sorted(answers)]


def in_both(handler):
    """The plain handler, and an async one that does the same."""

    async def later(xs: Items[int]) -> list[int]:
        return handler(xs)

    return handler, later


def test_each_caller_gets_its_own_result(worker):
    worker.send(batch(range(1, 65), [b"%d" % n for n in range(64)]))
    answers = worker.answers(64)
    assert [orjson.loads(answers[n + 1].body) for n in range(64)] == [{"label": n} for n in range(64)]
    assert worker.running == 64


@pytest.mark.parametrize("count", [1, 3, 64])
def test_what_the_answers_of_a_group_say_adds_up_to_its_run(worker, count):
    worker.send(batch(range(1, count + 1), [b"1"] * count))
    times = [frame.time for frame in worker.answers(count).values()]
    assert max(times) - min(times) <= 1


@given(st.integers(0, 2**32), st.integers(1, 1000))
def test_the_shares_of_a_run_are_equal_to_the_microsecond_and_add_up(micros, count):
    shares = split_time(micros, count)
    assert (sum(shares), len(shares)) == (micros, count)
    assert max(shares) - min(shares) <= 1


def test_an_error_of_all_shares_the_time_too():
    def wrong(xs: Items[int]) -> list[int]:
        time.sleep(0.01)
        return [1]

    for handler in in_both(wrong):
        with WorkerProcess(handler) as worker:
            worker.send(batch([1, 2, 3, 4], [b"1"] * 4))
            times = [frame.time for frame in worker.answers(4).values()]
            assert sum(times) >= 10_000
            assert max(times) - min(times) <= 1


def test_a_call_outside_of_a_group_is_a_group_of_one(worker):
    worker.call(1, b"5")
    assert worker.answers(1)[1].body == b'{"label":5}'


def test_groups_stand_back_to_back(worker):
    worker.send(batch([1, 2], [b"1", b"2"]), batch([3], [b"3"]), encode_frame(Kind.CALL, 4, b"4"))
    assert sorted(worker.answers(4)) == [1, 2, 3, 4]


def test_a_group_may_come_in_pieces(worker):
    data = batch([1, 2], [b"1", b"2"])
    for at in range(len(data)):
        worker.send(data[at : at + 1])
    assert kinds(worker.answers(2)) == [Kind.RESULT] * 2


def test_a_bad_body_fails_alone(worker):
    worker.send(batch([1, 2, 3, 4], [b"1", b'"x"', b"{", b"4"]))
    answers = worker.answers(4)
    assert kinds(answers) == [Kind.RESULT, Kind.ERROR, Kind.ERROR, Kind.RESULT]
    assert (answers[2].meta["status"], answers[3].meta["status"]) == (422, 400)
    assert answers[4].body == b'{"label":4}'


@pytest.mark.parametrize("leak", [b"1,2", b"1],[2", b"1]", b"[1", b"", b"2 3"])
def test_a_body_cannot_become_two_items(worker, leak):
    worker.send(batch([1, 2, 3], [b"1", leak, b"3"]))
    answers = worker.answers(3)
    assert kinds(answers) == [Kind.RESULT, Kind.ERROR, Kind.RESULT]
    assert answers[3].body == b'{"label":3}'


def test_only_bad_bodies(worker):
    worker.send(batch([1, 2], [b"x", b"y"]))
    assert kinds(worker.answers(2)) == [Kind.ERROR, Kind.ERROR]


def test_a_result_that_is_an_exception_fails_alone(worker):
    worker.send(batch([1, 2, 3], [b"1", b"-2", b"3"]))
    answers = worker.answers(3)
    assert kinds(answers) == [Kind.RESULT, Kind.ERROR, Kind.RESULT]
    assert orjson.loads(answers[2].body)["detail"] == "below zero"


def test_callers_may_speak_different_languages(worker):
    worker.send(
        encode_frame(Kind.BATCH, 2),
        encode_frame(Kind.CALL, 1, b"1"),
        encode_frame(Kind.CALL, 2, msgpack.packb(2), codec=Codec.MSGPACK, meta={"accept": "application/msgpack"}),
    )
    answers = worker.answers(2)
    assert answers[1].body == b'{"label":1}'
    assert msgpack.unpackb(answers[2].body) == {"label": 2}


def test_a_late_call_of_a_group_does_not_run_and_the_others_do():
    def slow(xs: Items[float]) -> list[float]:
        time.sleep(max(xs))  # makes the calls behind it late
        return list(xs)

    async def slow_later(xs: Items[float]) -> list[float]:
        return slow(xs)

    for handler in (slow, slow_later):
        with WorkerProcess(handler) as worker:
            worker.send(
                batch([1], [b"0.05"]),
                encode_frame(Kind.BATCH, 2),
                encode_frame(Kind.CALL, 2, b"0", time=10),
                encode_frame(Kind.CALL, 3, b"0"),
            )
            answers = worker.answers(3)
        assert kinds(answers) == [Kind.RESULT, Kind.ERROR, Kind.RESULT]
        assert answers[2].meta["status"] == 504


@pytest.mark.parametrize("at", [0, 1])
def test_a_handler_that_raises_for_a_group_runs_item_by_item(at):
    def fail(xs: Items[int]) -> list[int]:
        if 3 in xs:
            raise ValueError("three")
        return [len(xs)] * len(xs)

    with WorkerProcess(in_both(fail)[at]) as worker:
        worker.send(batch([1, 2, 3, 4], [b"1", b"2", b"3", b"4"]))
        answers = worker.answers(4)
    assert kinds(answers) == [Kind.RESULT, Kind.RESULT, Kind.ERROR, Kind.RESULT]
    assert answers[1].body == b"1"


@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize(
    ("results", "said"),
    [([1, 2], "took 3 items and returned 2"), (None, "NoneType"), ({1: 1, 2: 2, 3: 3}, "dict"), ("abc", "str")],
)
def test_a_wrong_number_of_results_fails_all(at, results, said):
    runs = os.memfd_create("runs")

    def wrong(xs: Items[int]) -> list[int]:
        os.write(runs, b"x")
        return results

    with WorkerProcess(in_both(wrong)[at]) as worker:
        worker.send(batch([1, 2, 3], [b"1", b"2", b"3"]))
        answers = worker.answers(3)
    assert kinds(answers) == [Kind.ERROR] * 3
    assert said in orjson.loads(answers[1].body)["detail"]
    assert os.fstat(runs).st_size == 1
    os.close(runs)


def test_a_result_that_cannot_be_sent_fails_alone():
    def mixed(xs: Items[int]) -> list[Label]:
        return [{"label": x if x != 2 else "two"} for x in xs]

    with WorkerProcess(mixed) as worker:
        worker.send(batch([1, 2, 3], [b"1", b"2", b"3"]))
        assert kinds(worker.answers(3)) == [Kind.RESULT, Kind.ERROR, Kind.RESULT]


@pytest.mark.parametrize(
    ("results", "bodies"),
    [
        (np.array([1, 2]), [b"1", b"2"]),
        (np.array([[1, 2], [3, 4]], dtype="int8"), None),
        ((None, "x"), [b"null", b'"x"']),
        ([float("nan"), 1.5], [None, b"1.5"]),
        ([Event(type="a", id="1", data=1), 2], [b"1", b"2"]),
    ],
)
def test_results_without_an_annotation(results, bodies):
    def anything(xs: Items):
        return results

    with WorkerProcess(anything) as worker:
        worker.send(batch([1, 2], [b"1", b"2"]))
        answers = worker.answers(2)
    if bodies is None:
        assert orjson.loads(answers[2].body)["shape"] == [2]
    else:
        assert [answers[n].body if answers[n].kind == Kind.RESULT else None for n in (1, 2)] == bodies


def test_the_context_of_a_group_is_that_of_its_hardest_call():
    def look(xs: Items[int]) -> list:
        known = context()
        return [[known.deadline_s, known.attempt, known.traceparent] for _ in xs]

    with WorkerProcess(look) as worker:
        began_s = time.monotonic()
        worker.send(
            encode_frame(Kind.BATCH, 3),
            encode_frame(Kind.CALL, 1, b"1", time=9000, meta={"traceparent": "tp"}),
            encode_frame(Kind.CALL, 2, b"1", time=3000, meta={"attempt": 2}),
            encode_frame(Kind.CALL, 3, b"1"),
        )
        deadline_s, attempt, traceparent = orjson.loads(worker.answers(3)[3].body)
        passed_s = time.monotonic() - began_s
    assert 3 - passed_s <= deadline_s <= 3
    assert (attempt, traceparent) == (2, "tp")


@pytest.mark.parametrize("at", [0, 1])
def test_a_call_of_a_waiting_group_can_be_cancelled_and_a_running_group_cannot(at):
    ours, theirs = os.pipe()

    def block(xs: Items[int]) -> list[int]:
        if xs[0]:
            os.read(ours, 1)
        return list(xs)

    async def block_later(xs: Items[int]) -> list[int]:
        return block(xs)

    with WorkerProcess([block, block_later][at]) as worker:
        worker.send(batch([1, 2], [b"1", b"1"]))
        while worker.running != 2:
            os.sched_yield()
        worker.send(batch([3, 4], [b"0", b"0"]))
        worker.cancel(3, interrupt=at == 0)
        worker.cancel(2, interrupt=at == 0)
        os.write(theirs, b"x")
        answers = worker.answers(4)
    assert kinds(answers) == [Kind.RESULT, Kind.RESULT, Kind.ERROR, Kind.RESULT]
    os.close(ours)
    os.close(theirs)


def test_an_async_group_that_runs_too_long_is_ended_and_not_repeated():
    async def forever(xs: Items[int]) -> list[int]:
        import asyncio

        await asyncio.Event().wait()
        return []

    with WorkerProcess(forever, timeout_s=0.05) as worker:
        worker.send(batch([1, 2], [b"1", b"1"]))
        answers = worker.answers(2)
    assert [orjson.loads(answers[n].body)["code"] for n in (1, 2)] == ["handler_timeout"] * 2
