"""The functions under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import skerry

app = skerry.App("soak")

ALWAYS = skerry.Scale(min=1, max=1)  # one worker throughout: its growth shows
STUMBLE = "told to stumble"


@app.function(scale=ALWAYS)
def echo(value: Any) -> Any:
    """Return the value."""
    return value


@app.function(scale=ALWAYS)
def carry(text: str) -> str:
    """Return the text, however long."""
    return text


@app.function(scale=ALWAYS, batch=skerry.Batch(max_size=32, objective="100ms", max_weight=64))
def halve(numbers: skerry.Items[int]) -> list[Any]:
    """Halve each number; a negative one fails alone."""
    return [number / 2 if number >= 0 else ValueError(f"{number} is negative") for number in numbers]


@app.function(scale=ALWAYS, batch=skerry.Batch(max_size=16))
def square(number: int) -> int:
    """Square the number; a negative one fails alone."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


@app.function(scale=ALWAYS)
def count(end: int) -> Iterator[int]:
    """Yield the numbers from 0 on."""
    yield from range(end)


@app.function(scale=ALWAYS)
def drip(end: int) -> Iterator[int]:
    """Yield the numbers from 0 on, slowly."""
    for number in range(end):
        time.sleep(0.01)
        yield number


@app.function(scale=ALWAYS)
def stumble(end: int) -> Iterator[int]:
    """Yield the numbers from 0 on, then fail."""
    yield from range(end)
    raise RuntimeError(STUMBLE)


@app.function(scale=ALWAYS, concurrency=64)
async def nap(seconds: float) -> float:
    """Wait beside others."""
    await asyncio.sleep(seconds)
    return seconds


@app.function(scale=skerry.Scale(min=1, max=2))
def work(seconds: float) -> float:
    """Wait alone."""
    time.sleep(seconds)
    return seconds


@app.function(scale=ALWAYS, queue=8)
def tight(number: int) -> int:
    """Take a little while, with room for few."""
    time.sleep(0.01)
    return number


@app.function(scale=skerry.Scale(max=3, initial=0, window="2s", grace="1s", utilization=1.0))
def elastic(number: int) -> int:
    """Take a while, on as many workers as the load calls for, down to none."""
    time.sleep(0.05)
    return number


@app.function(scale=skerry.Scale(min=1, max=2))
def task(number: int) -> int:
    """Be a job; numbers below 0 fail."""
    time.sleep(0.02)
    if number < 0:
        raise RuntimeError(STUMBLE)
    return number * 3
