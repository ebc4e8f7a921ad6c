"""Functions that say what they may use, and those that use more."""

import asyncio
import logging
import os
import random
import signal
import time

import numpy as np
from notes import note, wait_for

import skerry

app = skerry.App("limits", imports=["numpy"])
one_worker = skerry.Scale(max=1)


@app.function(max_body="64KiB")
def echo(value):
    return value


@app.function(env={"MY_OPTION": "mine"})
def environment(names: list[str]) -> dict:
    return {name: os.environ.get(name) for name in names}


@app.function(cpu=2)
def threads() -> dict:
    return {name: value for name, value in os.environ.items() if name.endswith(("_THREADS", "_MAX_CPU_COUNT"))}


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


@app.function(memory="200MiB")
def greedy(mib: int, kind: str) -> int:
    if kind == "list":
        held = []
        for _ in range(mib):
            held.append([random.random() for _ in range(2**15)])
        return len(held)
    return int(np.ones(mib * 2**17).sum() // 2**17)


@app.function(timeout="4s")  # calls of a ready worker must take less, on a machine that is busy too
def late(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.function(timeout="4s", concurrency=2)
async def late_async(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@app.function
def end(value) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.function
def leave(how: str) -> None:
    if how == "status":
        os._exit(3)
    if how == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGSEGV)
    os.closerange(3, 256)
    time.sleep(60)


@app.function(timeout="1500ms")
def hang_in_c(number: int) -> int:
    return sum(range(number))  # one call into C, which lets no signal handler in Python run


@app.function
def log(level: str) -> str:
    getattr(logging.getLogger("shop"), level)("said at %s", level)
    return level


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
        return process.wait(20)
