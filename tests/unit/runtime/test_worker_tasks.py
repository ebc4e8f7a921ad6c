"""Async handlers: several calls at a time, each answered once."""

import asyncio
import time

import orjson
import pytest

from skerry.runtime.context import context
from skerry.runtime.frames import Kind, encode_frame
from support.worker_process import WorkerProcess


async def wait(x: int) -> int:
    """Answers 0 at once, and anything else never."""
    if x:
        await asyncio.Event().wait()
    return x


def test_as_many_calls_run_at_a_time_as_the_concurrency():
    together, all_there = [], asyncio.Event()

    async def meet(x: int) -> int:
        together.append(x)
        if len(together) == 3:
            all_there.set()
        await all_there.wait()
        return len(together)

    with WorkerProcess(meet, concurrency=3) as worker:
        worker.send(*(encode_frame(Kind.CALL, n, b"%d" % n) for n in (1, 2, 3)))
        assert {answer.body for answer in worker.answers(3).values()} == {b"3"}


def test_no_more_run_than_the_concurrency():
    running = 0

    async def count(x: int) -> int:
        nonlocal running
        running += 1
        for _ in range(10):
            await asyncio.sleep(0)
        running -= 1
        return running + 1

    with WorkerProcess(count, concurrency=2) as worker:
        worker.send(*(encode_frame(Kind.CALL, n, b"1") for n in range(1, 101)))
        assert {int(answer.body) for answer in worker.answers(100).values()} <= {1, 2}


def test_a_running_call_is_cancelled():
    with WorkerProcess(wait) as worker:
        worker.call(1, b"1")
        worker.call(2, b"0")
        worker.cancel(1, interrupt=False)
        answers = worker.answers(2)
    assert [answers[1].kind, answers[2].kind] == [Kind.ERROR, Kind.RESULT]


def test_a_waiting_call_is_cancelled():
    with WorkerProcess(wait) as worker:
        worker.call(1, b"1")
        worker.call(2, b"0")
        worker.cancel(2, interrupt=False)
        assert worker.answers(1)[2].kind == Kind.ERROR
        worker.cancel(1, interrupt=False)
        assert worker.answers(1)[1].kind == Kind.ERROR


def test_a_call_that_is_cancelled_in_the_write_that_brought_it():
    with WorkerProcess(wait) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"1"), encode_frame(Kind.CANCEL, 1), encode_frame(Kind.CALL, 2, b"0"))
        answers = worker.answers(2)
    assert [answers[1].kind, answers[2].kind] == [Kind.ERROR, Kind.RESULT]


def test_an_overdue_call_does_not_run():
    async def block(x: float) -> float:
        time.sleep(x)  # noqa: ASYNC251  # holds up the loop, so that the call behind is late
        return x

    with WorkerProcess(block) as worker:
        worker.send(encode_frame(Kind.CALL, 1, b"0.05"), encode_frame(Kind.CALL, 2, b"0", time=10))
        assert worker.answers(2)[2].meta == {"status": 504}


def test_a_call_that_runs_too_long_is_ended():
    with WorkerProcess(wait, timeout_s=0.05) as worker:
        worker.call(1, b"1")
        assert orjson.loads(worker.answers(1)[1].body)["code"] == "handler_timeout"


def test_each_task_has_its_own_context():
    async def look(x: int) -> list:
        await asyncio.sleep(0)
        return [context().traceparent, context().deadline_s is None]

    with WorkerProcess(look, concurrency=9) as worker:
        frames = [encode_frame(Kind.CALL, n, b"1", meta={"traceparent": f"tp{n}"}, time=n % 2 * 9000) for n in range(9)]
        worker.send(*frames)
        for n, answer in worker.answers(9).items():
            assert orjson.loads(answer.body) == [f"tp{n}", n % 2 == 0]


@pytest.mark.parametrize("body", [b'"x"', b"{"])
def test_a_wrong_body_is_refused(body):
    with WorkerProcess(wait) as worker:
        worker.call(1, body)
        assert worker.answers(1)[1].meta["status"] in (400, 422)


def test_stop_waits_for_what_runs_and_for_large_answers():
    async def large(x: int) -> str:
        await asyncio.sleep(0)
        return "x" * 5_000_000

    with WorkerProcess(large, concurrency=2) as worker:
        worker.call(1, b"1")
        worker.call(2, b"1")
        frames = worker.stop()
    assert [(frame.number, len(frame.body)) for frame in frames] == [(1, 5_000_002), (2, 5_000_002)]


def test_memory_is_returned_once_after_large_bodies(monkeypatch):
    returned, has_returned = [], asyncio.Event()

    def note():
        returned.append(1)
        has_returned.set()

    monkeypatch.setattr("skerry.runtime.tasks.PERIOD_S", 0.5)
    monkeypatch.setattr("skerry.runtime.tasks.return_memory", note)

    async def returns(x: str) -> int:
        async with asyncio.timeout(10):
            await has_returned.wait()
        return len(returned)

    with WorkerProcess(returns) as worker:
        worker.call(1, b'"' + b"x" * 300_000 + b'"')
        assert worker.answers(1)[1].body == b"1"
        worker.call(2, b'""')
        assert worker.answers(1)[2].body == b"1"
