"""One app with a function for each thing that every platform must do alike."""

import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np

import skerry
from skerry import Event, Scale, Tensor

app = skerry.App("conformance", imports=["numpy"])
folder = Path(os.environ["CONFORMANCE_FOLDER"])  # what handlers leave for the test to see
one_worker = Scale(max=1)


def note(name):
    """Append a line to a file of the test's folder; return the number of lines."""
    with open(folder / name, "a") as file:
        file.write("x\n")
    return len((folder / name).read_text().splitlines())


def wait_for(name):
    until = time.monotonic() + 20
    while not (folder / name).exists():
        if time.monotonic() > until:
            raise TimeoutError(name)
        time.sleep(0.005)


@app.function(max_body="64KiB")
def echo(value):
    return value


@app.function
def reverse(text: str) -> str:
    return text[::-1]


@app.function
def add(a: int, b: int = 1) -> int:
    return a + b


@app.function
def greet() -> str:
    return "hello"


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


@app.function(scale=skerry.Scale(max=1))  # a worker that still starts at the end is ended, not unloaded
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


@app.function(env={"MY_OPTION": "mine"})
def environment(names: list[str]) -> dict:
    return {name: os.environ.get(name) for name in names}


@app.function
def fail(secret: str) -> None:
    print("about to fail")
    raise ValueError(f"the secret is {secret}")


@app.function
def unsendable() -> object:
    return object()


@app.function
def leave() -> None:
    sys.exit(3)


@app.function(concurrency=2)
async def leave_async() -> None:
    sys.exit(3)


@app.function(concurrency=2)
async def cancel_itself() -> None:
    raise asyncio.CancelledError


@app.function(timeout="600ms")  # a request waits no longer for the worker that takes the place of a late one
def late(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.function(timeout="600ms", concurrency=2)
async def late_async(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@app.function(memory="200MiB")
def greedy(mib: int, kind: str) -> int:
    if kind == "list":
        held = []
        for _ in range(mib):
            held.append([random.random() for _ in range(2**15)])
        return len(held)
    return int(np.ones(mib * 2**17).sum() // 2**17)


@app.function
def end(value) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.function(idempotent=True)
def end_once(name: str) -> int:
    times = note(name)
    if times == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return times


@app.function(idempotent=True)
def end_always(name: str) -> None:
    note(name)
    os.kill(os.getpid(), signal.SIGKILL)


@app.function(files=64)
def open_many(count: int) -> int:
    files = []
    try:
        for _ in range(count):
            files.append(open(os.devnull))  # noqa: SIM115  # they are to stay open
    finally:
        for file in files:
            file.close()
    return count


@app.function(cpu=2)
def threads() -> dict:
    return {name: value for name, value in os.environ.items() if name.endswith(("_THREADS", "_MAX_CPU_COUNT"))}


@app.function
def draw() -> dict:
    return {"pid": os.getpid(), "numpy": float(np.random.random()), "plain": random.random()}


@app.function(queue=1, scale=one_worker)
def narrow(name: str) -> str:
    note(f"{name}-runs")
    wait_for(name)
    return name


@app.function(scale=one_worker)
def slow(name: str) -> str:
    note(f"{name}-runs")
    wait_for(name)
    return name


@app.function
def spawn() -> int:
    """Start a program and end it politely: what a worker disregards, its programs must not."""
    import subprocess

    with subprocess.Popen(["sleep", "60"]) as process:
        process.terminate()
        return process.wait(5)


@app.function
def leave_program() -> int:
    """Start a program, and leave it running."""
    import subprocess

    return subprocess.Popen(["sleep", "600"]).pid
