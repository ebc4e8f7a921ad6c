"""Split and mirrored traffic through a real front to real workers."""

import asyncio
import os
import signal

import pytest

from skerry.errors import StartError
from skerry.runtime.message import Response
from skerry.runtime.mirror import Mirror
from skerry.runtime.split import Split
from support.played_worker import until
from support.real_lanes import call_many, client_of, real_lanes, run_with_workers

VERSION = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
def f(x: int) -> str:
    return "{0}"
"""
FAILS = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
def f(x: int) -> str:
    raise ValueError("this version is broken")
"""
HANGS = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
def f(x: int) -> str:
    time.sleep(1000)
"""
CANNOT_START = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
class f:
    def __init__(self):
        raise OSError("no model here")

    def __call__(self, x: int) -> str:
        return "never"
"""
STREAMS = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
def f(x: int) -> Iterator[str]:
    for number in range(x):
        yield "{0}" + "x" * 1000
"""
WAITS = """
from collections.abc import Iterator
app = skerry.App("split")

@app.function
async def f(x: int) -> str:
    import asyncio
    from pathlib import Path
    place = Path("{0}")
    place.with_suffix(".begun").touch()
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        place.with_suffix(".cancelled").touch()
        raise
    return "done"
"""


@pytest.fixture
def play(tmp_path):
    """Run a test's coroutine with lanes; at the end nothing of them is left."""

    def play(test):
        async def main():
            async with real_lanes(tmp_path) as lanes:
                await test(lanes)

        run_with_workers(main())

    return play


async def split_of(lanes, stable, candidate, weight_ratio, **options):
    first = await lanes.start(stable)
    second = await lanes.start(candidate, **options)
    split = Split(first)
    split.add("candidate", second, weight_ratio=weight_ratio)
    lanes.route(split)
    return split, first, second


def test_shares_are_exact_and_known_heads_are_split_as_well(play):
    async def test(lanes):
        split, _, candidate = await split_of(lanes, VERSION.format("old"), VERSION.format("new"), 0.25)
        answers = await call_many(lanes, 400)
        assert answers.count((200, b'"old"')) == 300
        assert answers.count((200, b'"new"')) == 100
        split.weigh("candidate", 0.0)
        assert set(await call_many(lanes, 40)) == {(200, b'"old"')}
        split.settle_on(candidate)
        lanes.route(candidate)
        assert set(await call_many(lanes, 40)) == {(200, b'"new"')}

    play(test)


def test_no_answer_is_lost_or_mixed_while_lanes_come_and_go(play):
    async def test(lanes):
        old = await lanes.start(VERSION.format("old"))
        lanes.route(old)
        load = asyncio.ensure_future(call_many(lanes, 2000))
        new = await lanes.start(VERSION.format("new"))
        split = Split(old)
        split.add("candidate", new, weight_ratio=0.5)
        lanes.route(split)
        for _ in range(20):
            for weight_ratio in (0.0, 1.0, 0.5):
                split.weigh("candidate", weight_ratio)
                await asyncio.sleep(0)
        split.remove("candidate")
        lanes.route(old)
        lanes.retire(new)
        answers = await load
        assert len(answers) == 2000
        assert set(answers) <= {(200, b'"old"'), (200, b'"new"')}
        assert set(await call_many(lanes, 40)) == {(200, b'"old"')}

    play(test)


def test_calls_of_a_lane_that_cannot_start_are_answered_by_the_stable_one(play):
    async def test(lanes):
        split, _, candidate = await split_of(lanes, VERSION.format("old"), CANNOT_START, 0.5, ready=False)
        answers = await call_many(lanes, 80, clients=8)
        assert set(answers) == {(200, b'"old"')}
        await until(lambda: isinstance(candidate.last_error, StartError) or candidate.last_error, within_s=30)
        assert split.describe()["candidate"]["moved"] > 0
        assert set(await call_many(lanes, 80, clients=8)) == {(200, b'"old"')}

    play(test)


@pytest.mark.parametrize("source", [FAILS, HANGS, CANNOT_START], ids=["fails", "hangs", "cannot start"])
def test_a_shadow_does_not_hurt_callers_whatever_it_does(play, source):
    async def test(lanes):
        stable = await lanes.start(VERSION.format("old"))
        shadow = await lanes.start(source, ready=False)
        split = Split(stable)
        mirror = split.mirror = Mirror(shadow, most_open=5)
        lanes.route(split)
        assert set(await call_many(lanes, 200)) == {(200, b'"old"')}
        await until(lambda: mirror.report.sent + mirror.report.dropped == 200)
        assert mirror.open <= 5
        if source == FAILS:
            await until(lambda: mirror.report.describe()["differs"] > 0, within_s=30)
        elif source == HANGS:
            assert mirror.report.dropped >= 195

    play(test)


def test_a_shadow_that_is_killed_again_and_again_does_not_hurt_callers(play):
    async def test(lanes):
        stable = await lanes.start(VERSION.format("old"))
        shadow = await lanes.start(VERSION.format("new"))
        split = Split(stable)
        split.mirror = Mirror(shadow)
        lanes.route(split)
        load = asyncio.ensure_future(call_many(lanes, 600))
        for _ in range(3):
            await until(lambda: shadow.counts()["ready"], within_s=30)
            for worker in list(shadow.workers):
                os.kill(worker.pid, signal.SIGKILL)
            await until(lambda: not shadow.counts()["ready"], within_s=30)
        assert set(await load) == {(200, b'"old"')}

    play(test)


def test_disagreements_are_reported_with_both_answers(play):
    async def test(lanes):
        stable = await lanes.start(VERSION.format("old"))
        shadow = await lanes.start(VERSION.format("new"))
        split = Split(stable)
        mirror = split.mirror = Mirror(shadow, sample_ratio=0.5)
        lanes.route(split)
        async with client_of(lanes) as call:
            for _ in range(20):
                assert await call() == (200, b'"old"')
        await until(lambda: mirror.report.comparisons == mirror.report.sent, within_s=30)
        found = mirror.report.describe()
        assert (found["sent"], found["differs"]) == (10, 10)
        assert (found["differences"][0]["primary"], found["differences"][0]["shadow"]) == ('"old"', '"new"')

    play(test)


def test_streams_go_through_a_split_whole(play):
    async def test(lanes):
        split, _, candidate = await split_of(lanes, STREAMS.format("old"), STREAMS.format("new"), 0.5)
        split.mirror = Mirror(candidate)
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", lanes.port)
            writer.write(
                b"POST /function/f HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\n1000"
            )  # a megabyte, so that the window of a stream is full several times
            whole = await asyncio.wait_for(reader.read(), 60)
            writer.close()
            assert whole.endswith(b"0\r\n\r\n")
            lines = [line for line in whole.split(b"\n") if line.startswith(b'"')]
            assert len(lines) == 1000
            assert len({line[:4] for line in lines}) == 1
        await until(lambda: split.mirror.report.describe()["uncompared"] == 2, within_s=30)
        assert split.mirror.open == 0

    play(test)


def test_a_client_that_leaves_cancels_its_call_in_the_lane_that_has_it(play, tmp_path):
    async def test(lanes):
        new = tmp_path / "new"
        await split_of(lanes, VERSION.format("old"), WAITS.format(new), 1.0)
        _, writer = await asyncio.open_connection("127.0.0.1", lanes.port)
        writer.write(b"POST /function/f HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1")
        await until(new.with_suffix(".begun").exists, within_s=30)
        writer.close()
        await until(new.with_suffix(".cancelled").exists, within_s=30)

    play(test)


def test_jobs_are_given_to_the_lanes_by_weight_too(play):
    async def test(lanes):
        _, stable, candidate = await split_of(lanes, VERSION.format("old"), VERSION.format("new"), 0.25)
        chosen = []

        def respond(pool, request, reading):
            chosen.append(pool)
            return Response(b"{}", status=202)

        lanes.front.respond_async = respond
        async with client_of(lanes) as call:
            for _ in range(8):
                assert await call(b"1", b"prefer: respond-async") == (202, b"{}")
        assert (chosen.count(stable), chosen.count(candidate)) == (6, 2)

    play(test)
