"""Functions that leave something to do when their platform ends."""

import asyncio
import os

from notes import note, wait_for

import skerry

app = skerry.App("ending")
one_worker = skerry.Scale(max=1)


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


@app.function(scale=one_worker)
def slow(name: str) -> str:
    note(f"{name}-runs")
    wait_for(name)
    return name


@app.function
def leave_program() -> int:
    """Start a program, and leave it running."""
    import subprocess

    return subprocess.Popen(["sleep", "600"]).pid
