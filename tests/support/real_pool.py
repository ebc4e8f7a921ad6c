"""A pool with a real zygote and real processes, with the test in the place of the front."""

import asyncio
import ctypes
import json
import os
import sys
from pathlib import Path

from skerry.errors import SkerryError
from skerry.runtime.call import Call
from skerry.runtime.confinement import PR_SET_CHILD_SUBREAPER, become_subreaper
from skerry.runtime.contract import parse_target
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.runtime.nursery import Nursery
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.serving import worker_target
from skerry.spec import FunctionSpec
from support.engine_process import wait_until
from support.played_worker import until
from support.runtime_process import children, is_alive

WAIT_S = 30.0


class RealPool:
    """The pool of one function of the app in ``file``, and what its callers and the journal see."""

    def __init__(self, file, log, **options):
        self.log = log
        self.events = []
        self._strangers = set(children(os.getpid()))
        self.reaper = Reaper(asyncio.get_running_loop())
        self.nursery = Nursery(Path(sys.executable), reaper=self.reaper, environment=dict(os.environ))
        spec = FunctionSpec(**{"name": "f", "share_load": True, "start_timeout": "30s", **options})
        self.pool = WorkerPool(
            spec,
            worker_target(parse_target(str(file)), spec, {}),
            nursery=self.nursery,
            reaper=self.reaper,
            open_log=lambda: os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
            notify=lambda kind, detail: self.events.append((kind, detail)),
        )

    async def scale(self, workers):
        """Want so many workers, and wait until there are no more and no fewer."""
        self.pool.set_desired(workers)
        await self.until(lambda: self.pool.counts() == {"starting": 0, "ready": workers, "draining": 0})

    async def until(self, condition):
        await until(condition, within_s=WAIT_S)

    def happened(self, kind):
        """Return the details of all events of a kind."""
        return [detail for found, detail in self.events if found == kind]

    async def outcome(self, value=None):
        """Call the function; return what the pool answers, a frame or an error."""
        answers = []
        try:
            self.pool.take(Call(json.dumps(value).encode(), Codec.JSON, {}, answers.append))
        except SkerryError as error:
            return error
        await self.until(lambda: answers)
        return answers[0]

    async def call(self, value=None):
        answer = await self.outcome(value)
        assert isinstance(answer, Frame), answer
        assert answer.kind == Kind.RESULT, answer
        return json.loads(bytes(answer.body))

    @property
    def template(self):
        """The template's process, None while there is none."""
        return self.pool._template.pid

    def pids(self):
        return sorted(worker.pid for worker in self.pool.workers)

    def kin(self):
        """Return the processes that have come of this pool and are alive: zygote, spare, template, workers."""
        return [pid for pid in children(os.getpid()) if pid not in self._strangers and is_alive(pid)]

    async def close(self):
        await self.pool.stop(limit_s=WAIT_S)
        self.nursery.stop()
        await self.until(lambda: self.nursery.pid is None)
        # The spare reads the end of its socket; the reaper, which would wait for it as an orphan, ends here.
        self.reaper.close()


def run_pool(test, file, log, **options):
    """Run ``test(real_pool)``; afterwards no process of its may be left, and no descriptor."""

    async def main():
        place = RealPool(file, log, **options)
        try:
            async with asyncio.timeout(120):
                await test(place)
        finally:
            await place.close()

    before = set(children(os.getpid()))
    descriptors = len(os.listdir("/proc/self/fd"))
    become_subreaper()
    try:
        asyncio.run(main())
        wait_until(lambda: _are_gone(set(children(os.getpid())) - before), what="the end of all its processes")
        assert len(os.listdir("/proc/self/fd")) <= descriptors
    finally:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0)  # other tests' orphans are none of this process's business


def _are_gone(pids):
    for pid in pids:
        os.waitpid(pid, os.WNOHANG)
    return not any(map(is_alive, pids))
