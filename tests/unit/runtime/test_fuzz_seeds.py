"""What fuzzing has found, or others have stumbled over, is fed again; see `benchmarks/fuzz/findings.py`."""

import ast
import asyncio
from pathlib import Path

import pytest

from skerry.runtime.frames import FrameReader, Kind
from skerry.runtime.front import Front
from skerry.runtime.progress import PROGRESS
from support.echo_service import post, read_answer
from support.fed_connection import FunctionService, connect, seen, sent
from support.played_worker import pool_of

SEEDS = sorted((Path(__file__).parents[3] / "benchmarks" / "fuzz" / "seeds").iterdir())


def seeds(place):
    found = [path for path in SEEDS if path.name.startswith(f"{place}-")]
    assert found
    return pytest.mark.parametrize(
        "reads",
        [[ast.literal_eval(line) for line in path.read_text().splitlines()] for path in found],
        ids=[path.name for path in found],
    )


@seeds("http")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_connection_behaves_as_one_that_remembers_nothing_and_the_next_one_is_well(run_loop, reads, at_once):
    def outcome(*, learning):
        service = FunctionService(learning=learning, at_once=at_once)
        outcomes = []
        for pieces in (reads, reads, [post(b"/f", b"probe")], [b"GET /route HTTP/1.1\r\n\r\n"]):
            connection = connect(service)
            for data in pieces:
                if not connection._transport.closed:
                    connection.data_received(data)
            service.answer_all()
            outcomes.append((sent(connection), connection._transport.closed))
            connection.connection_lost(None)
        return outcomes, [seen(exchange) for exchange in service.exchanges]

    async def run():
        return outcome(learning=True), outcome(learning=False)

    known, fresh = run_loop(run())
    assert known == fresh
    assert b"probe" in known[0][2][0]
    assert b"/route" in known[0][3][0]


@seeds("frames")
def test_the_reader_of_frames_says_what_is_none(reads):
    reader = FrameReader()
    try:
        for data in reads:
            for frame in reader.feed(data):
                assert isinstance(frame.meta, dict)
    except ValueError as error:
        assert "metadata" in str(error)  # noqa: PT017  # not raising is fine as well


@seeds("worker")
def test_a_caller_is_answered_whatever_its_worker_says(run_loop, reads):
    faults = []

    async def run():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
        async with pool_of(timeout="1s") as (pool, part):
            front = Front()
            front.add_function(pool)
            port = await front.listen("127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(b"/function/f", b"1"))
            call = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, call.number)
            assert call.number == 1  # as the seeds have it
            for data in reads:
                part.theirs.send(data)
            async with asyncio.timeout(25):
                status, headers, _ = await read_answer(reader)
            writer.close()
            await front.stop_listening()
            await front.finish(limit_s=1.0)
            return status, headers, pool.dispatcher.in_system

    status, headers, left = run_loop(run())
    assert status in (200, 500, 502, 504)
    assert "b" not in headers
    assert left == 0
    assert not faults
