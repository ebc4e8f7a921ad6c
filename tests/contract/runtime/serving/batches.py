"""Handlers that take several callers' items at once, and one that takes them one by one."""

import os
from dataclasses import dataclass
from typing import Literal

from notes import note, wait_for, wait_for_async

import skerry
from skerry import Batch, Items

app = skerry.App("batches")
one_worker = skerry.Scale(max=1)
LONG = "1h"  # an objective that bounds no batch of these tests, however long the one before was held


@dataclass
class Ask:
    """One caller's item: what becomes of it, and the file in which its batch is noted."""

    x: int
    notes: str
    gate: str | None = None
    fails: Literal["raise", "return"] | None = None
    text: str = ""


def noted(asks: list[Ask]) -> None:
    """Leave the size of the batch, the worker, and the texts of its items."""
    note(asks[0].notes, f"{len(asks)} {os.getpid()} {' '.join(sorted({ask.text for ask in asks}))}")


def results(asks: list[Ask]) -> list[int | ValueError]:
    if any(ask.fails == "raise" for ask in asks):
        raise ValueError("one of them")
    return [ValueError("this one") if ask.fails == "return" else ask.x * ask.x for ask in asks]


def squares(asks: Items[Ask]) -> list[int | ValueError]:
    noted(asks)
    for ask in asks:
        if ask.gate:
            wait_for(ask.gate)
    return results(asks)


bounded = Batch(max_size=8, objective=LONG)
app.function(name="squares", batch=bounded, scale=one_worker)(squares)
app.function(name="squares_again", batch=bounded, scale=one_worker, idempotent=True)(squares)
app.function(name="weighed", batch=Batch(objective=LONG, max_weight=10), scale=one_worker)(squares)
app.function(name="measured", batch=Batch(objective=LONG, max_weight=1000, weight="bytes"), scale=one_worker)(squares)


@app.function(batch=bounded, scale=one_worker)
async def squares_async(asks: Items[Ask]) -> list[int | ValueError]:
    noted(asks)
    for ask in asks:
        if ask.gate:
            await wait_for_async(ask.gate)
    return results(asks)


@app.function(batch=bounded, scale=one_worker)
def scalar(ask: Ask) -> int:
    if ask.gate:
        wait_for(ask.gate)
    if ask.fails:
        raise ValueError("this one")
    return ask.x * ask.x


@app.function(batch=bounded, scale=one_worker)
def short(asks: Items[Ask]) -> list[int]:
    """Return one result too few, and the wrong ones."""
    noted(asks)
    for ask in asks:
        if ask.gate:
            wait_for(ask.gate)
    return [ask.x for ask in asks][1:]
