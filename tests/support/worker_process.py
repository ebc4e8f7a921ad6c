"""A worker's loop in a process of its own, with the test in the place of the front."""

import asyncio
import mmap
import os
import select
import signal
import socket
import struct

import uvloop

from skerry.payload import Signature
from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.handler import LoadedHandler
from skerry.runtime.progress import ANSWERS_AT, CANCELLED_AT, PROGRESS_BYTES
from skerry.runtime.target import Target
from skerry.runtime.worker import serve

LAST = (Kind.RESULT, Kind.ERROR, Kind.END)


class WorkerProcess:
    """A forked process that answers the calls of ``handler``."""

    def __init__(self, handler, **target):
        self.front, link = socket.socketpair()
        self.page = mmap.mmap(-1, PROGRESS_BYTES)
        self.reader = FrameReader()
        self.log = os.memfd_create("log")
        self.pid = os.fork()
        if not self.pid:
            self.front.close()
            _be_worker(link, self.page, handler, self.log, target)
        link.close()
        self.front.settimeout(20)
        assert self.read()[0].kind == Kind.READY

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.front.close()
        try:
            process = os.pidfd_open(self.pid)
            ended = bool(select.select([process], [], [], 10)[0])
            os.close(process)
        finally:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            log = os.pread(self.log, 1 << 20, 0).decode(errors="replace")
            print("\n".join(log.splitlines()[-40:]))  # pytest shows it when the test fails
            os.close(self.log)
            self.page.close()
        assert ended, "the worker does not end"

    def send(self, *frames):
        self.front.sendall(b"".join(frames))

    def call(self, number, body=b"null", **frame):
        self.send(encode_frame(Kind.CALL, number, body, **frame))

    def cancel(self, number, *, interrupt=True):
        struct.pack_into("<I", self.page, CANCELLED_AT, number)
        self.send(encode_frame(Kind.CANCEL, number))
        if interrupt:
            os.kill(self.pid, signal.SIGUSR1)

    def read(self, *flags):
        """Return the frames that come next, at least one."""
        while True:
            data = self.front.recv(1 << 20, *flags)
            assert data, "the worker has ended"
            frames = self.reader.feed(data)
            if frames:
                return frames

    def answers(self, count):
        """Return as many final frames, by the number of their call; no call may be answered twice."""
        found = {}
        while len(found) < count:
            for frame in self.read():
                if frame.kind in LAST:
                    assert frame.number not in found
                    found[frame.number] = frame
        return found

    def all_of(self, number):
        """Return the frames of a call up to its last one."""
        frames = []
        while not frames or frames[-1].kind not in LAST:
            frames += [frame for frame in self.read() if frame.number == number]
        return frames

    def stop(self):
        """Tell the worker to stop; return what it still says before it ends."""
        self.send(encode_frame(Kind.STOP, 0))
        frames = []
        while data := self.front.recv(1 << 20):
            frames += self.reader.feed(data)
        return frames

    @property
    def running(self):
        return struct.unpack_from("<I", self.page, 0)[0]

    @property
    def held(self):
        size = struct.unpack_from("<I", self.page, 4)[0]
        return FrameReader().feed(self.page[ANSWERS_AT : ANSWERS_AT + size])


def _be_worker(link, page, call, log, options):
    code = 1
    try:
        os.dup2(log, 2)
        signal.signal(signal.SIGUSR1, lambda *_: None)
        target = Target(root=None, file=None, module="test", function="tested", environment={}, **options)
        signature = Signature.of(call)
        handler = LoadedHandler(call() if isinstance(call, type) else call, signature, None, target)
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop) if handler.is_async else None
        link.sendall(encode_frame(Kind.READY, 0))
        serve(link, page, handler, runner)
        code = 0
    finally:
        os._exit(code)
