import asyncio
import threading

import pytest

import skerry
from skerry.errors import HandlerError
from skerry.platforms import Answer

app = skerry.App("awaiting")


@app.function
def half(x: float) -> float:
    if x < 0:
        raise ValueError(x)
    return x / 2


class Barrier:
    """A platform whose calls wait for each other."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)

    def invoke(self, function, body, **rest):
        self.barrier.wait(10)
        return Answer(body, "application/msgpack", {})


class Endless:
    """A platform whose calls end only when they are cancelled."""

    def __init__(self):
        self.begun = threading.Event()
        self.ended = threading.Event()

    def invoke(self, function, body, *, cancellation, **rest):
        self.begun.set()
        try:
            cancellation.wait(60)
        finally:
            self.ended.set()


def test_an_awaited_call_returns_the_result_or_raises(in_process):
    bound = half.at(in_process(app))

    assert asyncio.run(bound.aremote(3.0)) == 1.5
    with pytest.raises(HandlerError):
        asyncio.run(bound.aremote(-1.0))


def test_many_calls_run_at_a_time_and_do_not_block_the_loop():
    bound = half.at(Barrier(64))

    async def use():
        return await asyncio.gather(*(bound.aremote(float(n)) for n in range(64)))

    assert asyncio.run(use()) == [float(n) for n in range(64)]


def test_cancelling_the_wait_ends_the_call():
    platform = Endless()

    async def use():
        task = asyncio.create_task(half.at(platform).aremote(1.0))
        await asyncio.to_thread(platform.begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(platform.ended.wait, 10)

    asyncio.run(use())
    assert platform.ended.is_set()
