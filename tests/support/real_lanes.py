"""Pools with real workers behind a real front, in the test's own process."""

import asyncio
import ctypes
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from skerry.runtime.confinement import PR_SET_CHILD_SUBREAPER, become_subreaper
from skerry.runtime.contract import identity, parse_target
from skerry.runtime.front import Front
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.serving import worker_target
from skerry.spec import FunctionSpec
from support.echo_service import post, read_answer
from support.engine_process import write_app

LIMIT_S = 60.0


class RealLanes:
    """Makes pools of apps and serves them; stands where an engine would stand for the traffic of a function."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.reaper = Reaper(asyncio.get_running_loop())
        self.nursery = Nursery(Path(sys.executable), reaper=self.reaper)
        self.front = Front()
        self.observing = Observing(self.front, {})
        self.pools = []
        self.candidate_source = None
        self.stable = None
        self.serving = 1
        self._retiring = []
        self.port = 0

    async def start(self, source, *, workers=1, ready=True, **options):
        """Return a pool of the function ``f`` of an app, once its workers are ready."""
        number = len(self.pools) + 1
        file = write_app(self.folder / f"app{number}.py", source)
        spec = FunctionSpec(name="f", **options)
        revision = f"f-{number:05}"
        started = asyncio.Event()
        target = worker_target(parse_target(str(file)), spec, identity("f", revision))
        pool = WorkerPool(
            spec,
            target,
            nursery=self.nursery,
            reaper=self.reaper,
            open_log=lambda: os.dup(2),
            notify=lambda kind, detail: started.set() if kind == "worker_ready" else None,
        )
        self.pools.append(pool)
        self.observing.observe(pool, revision)
        pool.set_desired(workers)
        if ready:
            async with asyncio.timeout(LIMIT_S):
                while pool.counts()["ready"] < workers:
                    started.clear()
                    await started.wait()
        return pool

    # What the traffic needs of the engine

    def route(self, entry):
        self.front.add_function(entry)

    async def add(self, version):
        self.added = await self.start(self.candidate_source)
        return self.added

    async def promote(self, reason):
        self.stable = self.added

    def retire(self, pool):
        pool.dispatcher.close()
        self._retiring.append(asyncio.ensure_future(pool.drain(limit_s=LIMIT_S)))

    async def stop(self):
        await asyncio.gather(*self._retiring)
        await self.front.stop_listening()
        await asyncio.gather(*(pool.stop(limit_s=1.0) for pool in self.pools))
        await self.front.finish(limit_s=5.0)
        self.nursery.stop()
        self.reaper.close()


@asynccontextmanager
async def real_lanes(folder):
    lanes = RealLanes(folder)
    try:
        lanes.port = await lanes.front.listen("127.0.0.1", 0)
        yield lanes
    finally:
        await lanes.stop()


@asynccontextmanager
async def client_of(lanes):
    """Connect; yields a coroutine function that calls ``f`` and returns status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", lanes.port)

    async def call(body=b"1", *headers):
        writer.write(post(b"/function/f", body, *headers))
        status, _, answer = await asyncio.wait_for(read_answer(reader), LIMIT_S)
        return status, answer

    try:
        yield call
    finally:
        writer.close()


async def call_many(lanes, count, *, clients=4, body=b"1"):
    """Return the answers to so many calls of several clients."""
    answers = []

    async def run(share):
        async with client_of(lanes) as call:
            for _ in range(share):
                answers.append(await call(body))

    await asyncio.gather(*(run(count // clients) for _ in range(clients)))
    return answers


def run_with_workers(test):
    """Run a coroutine on the front's loop in a process that its workers become children of."""
    become_subreaper()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(asyncio.wait_for(test, 110))
    finally:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)
