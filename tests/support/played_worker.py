"""A pool whose one worker is played by the test: it speaks frames over the link, and its process is a small program."""

import asyncio
import contextlib
import mmap
import os
import socket
import subprocess

from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.pool import WorkerPool
from skerry.runtime.progress import PROGRESS_BYTES
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec


class Part:
    """The worker: a program that has started another, and the far end of the link."""

    def __init__(self):
        self.progress = mmap.mmap(-1, PROGRESS_BYTES)
        self.ours, self.theirs = socket.socketpair()
        for end in (self.ours, self.theirs):
            end.setblocking(False)
        script = "sleep 600 & echo $!; read line"
        self.program = subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.started_pid = int(self.program.stdout.readline())
        self._reader = FrameReader()
        self._frames = []
        self._spawned = False

    def spawn(self, target, *, log_fd):
        if self._spawned:
            raise OSError("one worker is all there is")
        self._spawned = True
        return self.ours, self.progress

    def say(self, kind, number=0, body=b"", codec=0, **meta):
        self.theirs.send(encode_frame(kind, number, body, codec=codec, meta=meta))

    async def hear(self, kind):
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                if frame.kind == kind:
                    return frame
            self._frames += self._reader.feed(await asyncio.get_running_loop().sock_recv(self.theirs, 1 << 16))

    def close(self):
        self.theirs.close()
        self.program.stdin.close()
        self.program.stdout.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.program.pid, 9)
        self.program.wait(10)


@contextlib.asynccontextmanager
async def pool_of(*, greet=True, **options):
    loop = asyncio.get_running_loop()
    part, reaper, ready = Part(), Reaper(loop), asyncio.Event()
    pool = WorkerPool(
        FunctionSpec(name="f", **options),
        Target(root=None, file=None, module="m", attribute="app", environment={}),
        nursery=part,
        reaper=reaper,
        open_log=lambda: os.open(os.devnull, os.O_WRONLY),
        notify=lambda kind, detail: ready.set() if kind == "worker_ready" else None,
    )
    try:
        pool.set_desired(1)
        part.say(Kind.HELLO, pid=part.program.pid)
        if greet:
            part.say(Kind.READY, phases_ms={})
            await asyncio.wait_for(ready.wait(), 10)
        yield pool, part
    finally:
        await pool.stop(limit_s=0.0)
        reaper.close()
        part.close()


async def until(condition, *, within_s=20.0):
    """Wait for what nothing tells of."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.005)
