"""A pool whose worker is played by the test."""

import asyncio
import subprocess

import pytest

from skerry.errors import SkerryError, UnavailableError
from skerry.runtime import worker_handle
from skerry.runtime.call import Call
from skerry.runtime.exchange import Exchange
from skerry.runtime.frames import Codec, Kind, encode_frame
from skerry.runtime.progress import ANSWERS_AT, HELD, HELD_AT, PROGRESS
from support.engine_process import wait_until
from support.played_worker import pool_of, until
from support.runtime_process import is_alive


def test_a_call_that_comes_back_while_the_pool_stops_is_answered(run_loop):
    async def run():
        async with pool_of(idempotent=True) as (pool, part):
            answers = []
            pool.dispatcher.offer(Call(b"1", Codec.JSON, {}, answers.append))
            pool.wake()
            frame = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, frame.number)
            await pool.drain(limit_s=0.05)
            return answers, pool.dispatcher.in_system

    [answer], left = run_loop(run())
    assert isinstance(answer, UnavailableError)
    assert left == 0


@pytest.mark.parametrize("exits", [True, False])
def test_what_a_worker_has_started_ends_with_the_pool(run_loop, exits):
    async def run():
        async with pool_of() as (pool, part):
            stopping = asyncio.ensure_future(pool.stop(limit_s=10))
            await part.hear(Kind.STOP)
            part.theirs.close()
            if exits:
                part.program.stdin.close()
            await stopping
            for pid in (part.started_pid, part.program.pid):
                wait_until(lambda pid=pid: not is_alive(pid))  # without the loop, which ends now

    run_loop(run())


# A worker that is broken or means harm: handlers run beside the link, and may write to it what they like

STREAM = (Kind.STREAM, b"", 0, {"content_type": "text/plain"})
GARBAGE = {
    "unknown kind": [(99, b"", 0, {})],
    "a kind of the front": [(Kind.CALL, b"1", 0, {})],
    "a greeting": [(Kind.HELLO, b"", 0, {"pid": 1})],
    "unknown codec": [(Kind.RESULT, b"1", 77, {})],
    "type that is no text": [(Kind.RESULT, b"1", Codec.OTHER, {"content_type": 5})],
    "type with a line break": [(Kind.RESULT, b"1", Codec.OTHER, {"content_type": "a\r\nset-cookie: b"})],
    "headers that are none": [(Kind.RESULT, b"1", 0, {"headers": 5})],
    "header with a line break": [(Kind.RESULT, b"1", 0, {"headers": {"ce-id": "1\r\nset-cookie: b"}})],
    "header's name with a line break": [(Kind.RESULT, b"1", 0, {"headers": {"ce-id: 1\r\nset-cookie": "b"}})],
    "header that frames the answer": [(Kind.RESULT, b"1", 0, {"headers": {"transfer-encoding": "chunked"}})],
    "error without status": [(Kind.ERROR, b"{}", 0, {})],
    "error with a text as status": [(Kind.ERROR, b"{}", 0, {"status": "500"})],
    "stream without type": [(Kind.STREAM, b"", 0, {})],
    "stream with a line break in its type": [(Kind.STREAM, b"", 0, {"content_type": "a\r\nset-cookie: b"})],
    "piece before the stream": [(Kind.PIECE, b"1", 0, {})],
    "end before the stream": [(Kind.END, b"", 0, {})],
    "stream twice": [STREAM, STREAM],
    "result in a stream": [STREAM, (Kind.RESULT, b"1", 0, {})],
}


@pytest.mark.parametrize("frames", GARBAGE.values(), ids=GARBAGE)
def test_a_worker_that_answers_what_is_no_answer_is_ended_and_its_calls_are_told(run_loop, frames):
    class Channel:
        trusted = True

        def flush(self):
            sent.append(exchange.answer)
            exchange.answer = None

    sent = []
    exchange = Exchange(Channel())

    async def run():
        async with pool_of() as (pool, part):
            exchange.body, exchange.codec = b"1", Codec.JSON
            exchange.pool = pool
            pool.take(exchange)
            frame = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, frame.number)
            part.theirs.send(
                b"".join(
                    encode_frame(kind, frame.number, body, codec=codec, meta=meta) for kind, body, codec, meta in frames
                )
            )
            await until(lambda: exchange.done)
            await asyncio.to_thread(part.program.wait, 20)
            return pool.dispatcher.in_system

    assert run_loop(run()) == 0
    whole = b"".join(data for data in sent if data)
    assert b"set-cookie" not in whole
    if frames[0] == STREAM:
        assert exchange.broken
        assert not whole.endswith(b"0\r\n\r\n")
    else:
        assert whole.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("held", [b"\xff" * 40, encode_frame(99, 1)], ids=["no frames", "unknown kind"])
def test_garbage_on_the_shared_page_does_not_keep_a_late_call_alive(run_loop, held):
    async def run():
        async with pool_of(timeout="1s") as (pool, part):
            answers = []
            pool.take(Call(b"1", Codec.JSON, {}, answers.append))
            frame = await part.hear(Kind.CALL)
            part.progress[ANSWERS_AT : ANSWERS_AT + len(held)] = held
            PROGRESS.pack_into(part.progress, 0, frame.number)
            HELD.pack_into(part.progress, HELD_AT, len(held))
            await until(lambda: answers)
            return answers

    [answer] = run_loop(run())
    assert answer.http_status in (502, 504)


def test_a_worker_cannot_have_another_process_ended_in_its_place(run_loop):
    async def run(bystander):
        async with pool_of(greet=False) as (pool, part):
            part.say(Kind.HELLO, pid=bystander)  # its first greeting is from before the handler's code
            part.say(Kind.READY, phases_ms={})
            await until(lambda: not (pool.workers and not pool.counts()["ready"]))
        return is_alive(bystander)

    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        try:
            assert run_loop(run(bystander.pid))
        finally:
            bystander.kill()


@pytest.mark.parametrize(
    ("kind", "body", "meta"),
    [
        (Kind.READY, b"", {}),
        (Kind.READY, b"", {"phases_ms": 5}),
        (Kind.READY, b"", {"phases_ms": {"fork": "x"}}),
        (Kind.READY, b"not json", {"phases_ms": {}}),
        (Kind.READY, b"5", {"phases_ms": {}}),
        (Kind.START_FAILED, b"not json", {}),
        (Kind.START_FAILED, b"[]", {}),
        (Kind.START_FAILED, b'{"code": 5, "detail": 5, "status": "x"}', {}),
    ],
)
def test_a_worker_that_greets_with_nonsense_is_ended_or_taken_and_the_loop_goes_on(run_loop, kind, body, meta):
    faults = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        async with pool_of(greet=False) as (pool, part):
            part.say(kind, 0, body, **meta)
            await until(lambda: not (pool.counts()["starting"] and pool.last_error is None))

    run_loop(run())
    assert not faults


def test_a_worker_that_answers_while_it_says_where_it_is_has_answered_and_is_ended(run_loop, monkeypatch):
    monkeypatch.setattr(worker_handle, "TRACE_SIGNAL", 0)  # the program that plays the worker knows of no such signal
    monkeypatch.setattr(worker_handle, "TRACE_S", 0.5)

    async def run():
        async with pool_of(timeout="200ms") as (pool, part):
            answers = []
            pool.take(Call(b"1", Codec.JSON, {}, answers.append))
            frame = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, frame.number)
            [worker] = pool.workers
            await until(lambda: worker.slot.reason is not None)
            part.say(Kind.RESULT, frame.number, b"2")
            await until(lambda: answers)
            was_there = is_alive(part.program.pid)
            pool.take(Call(b"2", Codec.JSON, {}, answers.append))
            await asyncio.to_thread(part.program.wait, 20)
            await until(lambda: len(answers) == 2)
            return answers, was_there, pool.last_loss

    (answer, refusal), was_there, loss = run_loop(run())
    assert (answer.kind, answer.body) == (Kind.RESULT, b"2")
    assert was_there
    assert isinstance(refusal, SkerryError)  # the worker was given nothing more, and there is no other
    assert "longer than its timeout" in loss.message


def test_a_call_whose_worker_was_ended_for_another_is_told_so(run_loop):
    async def run():
        async with pool_of(concurrency=2) as (pool, part):
            answers = {}
            for body in (b"1", b"2"):
                pool.take(Call(body, Codec.JSON, {}, lambda answer, body=body: answers.update({body: answer})))
            await part.hear(Kind.CALL)
            last = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, last.number)
            [worker] = pool.workers
            pool.dispatcher.kill(worker.slot, UnavailableError("too large"))
            await until(lambda: len(answers) == 2)
            return answers

    answers = run_loop(run())
    assert answers[b"2"].message == "too large"
    assert "the worker died during the request (it was ended for another call; tried once)" in answers[b"1"].message
