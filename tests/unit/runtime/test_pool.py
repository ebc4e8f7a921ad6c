"""A pool whose worker is played by the test: it speaks frames over the link, and its process is a small program."""

import asyncio
import contextlib
import mmap
import os
import socket
import subprocess

import pytest

from skerry.errors import UnavailableError
from skerry.runtime.call import Call
from skerry.runtime.frames import Codec, FrameReader, Kind, encode_frame
from skerry.runtime.link import PROGRESS, PROGRESS_BYTES
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec
from support.engine_process import wait_until
from support.runtime_process import is_alive


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

    def spawn(self, target, *, log_fd):
        return self.ours, self.progress

    def say(self, kind, **meta):
        self.theirs.send(encode_frame(kind, 0, meta=meta))

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
async def pool_of(**options):
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
        part.say(Kind.READY, phases_ms={})
        await asyncio.wait_for(ready.wait(), 10)
        yield pool, part
    finally:
        reaper.close()
        part.close()


def test_a_call_that_comes_back_while_the_pool_stops_is_answered(run_loop):
    async def run():
        async with pool_of(idempotent=True) as (pool, part):
            answers = []
            pool.dispatcher.offer(Call(b"1", Codec.JSON, {}, answers.append))
            pool.wake()
            frame = await part.hear(Kind.CALL)
            PROGRESS.pack_into(part.progress, 0, frame.number)
            await pool.drain(limit_s=0.05)
            return answers, pool.dispatcher.in_system

    [answer], left = run_loop(run())
    assert isinstance(answer, UnavailableError)
    assert left == 0


@pytest.mark.parametrize("exits", [True, False])
def test_what_a_worker_has_started_ends_with_the_pool(run_loop, exits):
    async def run():
        async with pool_of() as (pool, part):
            stopping = asyncio.ensure_future(pool.stop(limit_s=10))
            await part.hear(Kind.STOP)
            part.theirs.close()
            if exits:
                part.program.stdin.close()
            await stopping
            for pid in (part.started_pid, part.program.pid):
                wait_until(lambda pid=pid: not is_alive(pid), within_s=5)  # without the loop, which ends now

    run_loop(run())
