"""Functions of all kinds: how they get their arguments, and what becomes of their results."""

import asyncio
import os
from typing import Annotated

import numpy as np
from notes import note

import skerry
from skerry import Event, Tensor

app = skerry.App("calls", imports=["numpy"])
one_worker = skerry.Scale(max=1)


@app.function(max_body="64KiB")
def echo(value):
    return value


@app.function
def add(a: int, b: int = 1) -> int:
    return a + b


@app.function
def greet() -> str:
    return "hello"


@app.function
def measure(content: bytes) -> int:
    return len(content)


@app.function(scale=one_worker)
def measure_all(contents: skerry.Items[bytes]) -> list[int]:
    return [len(content) for content in contents]


@app.function
def double(x: np.ndarray):
    return x * 2


@app.function
def classify(image: Annotated[np.ndarray, Tensor("float32", (None, 2))], top: int) -> list[float]:
    return image.sum(axis=1).tolist()[:top]


@app.function
def observe(event: Event) -> dict:
    return {"id": event.id, "type": event.type, "source": event.source, "data": event.data}


@app.function
def announce(value) -> Event:
    return Event(type="conformance.announced", source="/conformance", data=value)


@app.function
def ring() -> Event:
    return Event(type="conformance.rung", source="/conformance", id="1")


@app.function(concurrency=4, timeout="20s")
async def meet(count: int) -> int:
    """Return once ``count`` calls run at the same time."""
    global present
    present += 1
    while present < count:  # noqa: ASYNC110  # a function that anybody could write
        await asyncio.sleep(0.005)
    return count


present = 0


@app.function
async def alone(value: int) -> int:
    """Return the most calls that ever ran at the same time."""
    global inside, most_inside
    inside += 1
    most_inside = max(inside, most_inside)
    await asyncio.sleep(0)
    inside -= 1
    return most_inside


inside = most_inside = 0


@app.function(scale=one_worker)  # a worker that still starts at the end is ended, not unloaded
class Model:
    def load(self):
        self.loads = note("loaded")

    def __call__(self, x: int) -> dict:
        return {"x": x, "loads": self.loads, "pid": os.getpid()}

    def unload(self):
        note("unloaded")


@app.function(concurrency=2)
class AsyncModel:
    async def load(self):
        await asyncio.sleep(0)
        self.base = 100

    async def __call__(self, x: int) -> int:
        return self.base + x

    async def unload(self):
        note("async-unloaded")


@app.function(share_load=True, scale=skerry.Scale(initial=1, max=2))  # a single worker would share with nobody
class SharedModel:
    def load(self):
        self.loaded_by = os.getpid()

    def __call__(self, x: int) -> dict:
        return {"x": x, "loaded_by": self.loaded_by, "pid": os.getpid()}
