"""Functions whose requests wait, run for long, and are given up."""

import asyncio
import os
import signal
from collections.abc import Iterator

from notes import note, wait_for, wait_for_async

import skerry

app = skerry.App("waiting")
one_worker = skerry.Scale(max=1)
inside = most = 0


def hold(name: str) -> int:
    """Run until the test says so, or until nobody waits for it any more."""
    try:  # the call may be given up while it notes that it runs
        note(f"{name}-runs", os.getpid())
        wait_for(name)
    finally:
        note(f"{name}-ended", os.getpid())
    return os.getpid()


app.function(name="hold", scale=one_worker)(hold)
app.function(name="narrow", scale=one_worker, queue=4)(hold)
app.function(name="other", scale=one_worker)(hold)


@app.function(scale=one_worker, concurrency=2)
async def hold_async(name: str) -> int:
    note(f"{name}-runs", os.getpid())
    try:
        await wait_for_async(name)
    finally:
        note(f"{name}-ended", os.getpid())
    return os.getpid()


@app.function(scale=one_worker, concurrency=3)
async def three(name: str) -> int:
    """Return the most calls that ever ran at the same time."""
    global inside, most
    inside += 1
    most = max(inside, most)
    note(f"{name}-runs")
    await wait_for_async(name)
    inside -= 1
    return most


@app.function(scale=one_worker, concurrency=4, max_in_flight=2)
async def two(name: str) -> None:
    note(f"{name}-runs")
    await wait_for_async(name)


@app.function(scale=one_worker)
def in_turn(text: str) -> None:
    """Note what comes when; what begins with "gate" waits first."""
    note("turns", text)
    if text.startswith("gate"):
        wait_for(text)


def known() -> dict[str, object]:
    context = skerry.context()
    return {name: getattr(context, name) for name in ("deadline_s", "attempt", "traceparent", "tracestate")}


@app.function
def told() -> dict[str, object]:
    return known()


@app.function(concurrency=2)
async def told_async() -> dict[str, object]:
    await asyncio.sleep(0)
    return known()


@app.function(idempotent=True)
def told_again() -> dict[str, object]:
    found = known()
    if found["attempt"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


@app.function
def counted(what: str) -> str:
    if what == "fail":
        raise ValueError(what)
    return what


@app.function
def large(size_bytes: int) -> str:
    return "x" * size_bytes


@app.function(scale=one_worker)
def tell(name: str) -> Iterator[str]:
    note(f"{name}-runs")
    yield "first"
    wait_for(name)
    yield "last"
