"""Generators, plain and async."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from notes import note, wait_for, wait_for_async

import skerry

app = skerry.App("streams")
one_worker = skerry.Scale(max=1)
PIECE_BYTES = 2**16


@dataclass
class Pour:
    """How much to yield, and where to note it."""

    name: str
    pieces: int


@app.function
def count(n: int) -> Iterator[int]:
    yield from range(n)


@app.function(concurrency=4)
async def count_async(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


@app.function
def texts(n: int) -> Iterator[dict[str, str]]:
    for number in range(n):
        yield {"text": f"ü\n{number}"}


@app.function
def blobs(n: int) -> Iterator[bytes]:
    for number in range(n):
        yield bytes([number, 10, 13]) * 100


@app.function
def breaks(after: int) -> Iterator[int]:
    yield from range(after)
    raise ValueError("the secret is swordfish")


@app.function(concurrency=4)
async def breaks_async(after: int) -> AsyncIterator[int]:
    for number in range(after):
        yield number
    raise ValueError("the secret is swordfish")


@app.function
def large(sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield bytes(size)


@app.function
def unsendable() -> Iterator[object]:
    yield 1
    yield object()


@app.function
def no_iterator() -> Iterator[int]:
    return 3


@app.function(timeout="4s")  # calls of a ready worker must take less, on a machine that is busy too
def late(seconds: float) -> Iterator[int]:
    yield 1
    time.sleep(seconds)
    yield 2


@app.function(timeout="4s", concurrency=2)
async def late_async(seconds: float) -> AsyncIterator[int]:
    yield 1
    await asyncio.sleep(seconds)
    yield 2


@app.function(scale=one_worker)
def gated(name: str) -> Iterator[int]:
    note(f"{name}-runs")
    try:
        yield os.getpid()
        note(f"{name}-waits")
        wait_for(name)
    finally:
        note(f"{name}-closed")
    yield 2


@app.function(scale=one_worker, concurrency=2)
async def gated_async(name: str) -> AsyncIterator[int]:
    note(f"{name}-runs")
    try:
        yield os.getpid()
        note(f"{name}-waits")
        await wait_for_async(name)
    finally:
        note(f"{name}-closed")
    yield 2


@app.function(scale=one_worker)
def pour(ask: Pour) -> Iterator[bytes]:
    try:
        for _ in range(ask.pieces):
            note(ask.name)
            yield bytes(PIECE_BYTES)
    finally:
        note(f"{ask.name}-closed", os.getpid())


@app.function(scale=one_worker, concurrency=2)
async def pour_async(ask: Pour) -> AsyncIterator[bytes]:
    try:
        for _ in range(ask.pieces):
            note(ask.name)
            yield bytes(PIECE_BYTES)
    finally:
        note(f"{ask.name}-closed", os.getpid())
