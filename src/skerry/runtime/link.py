"""The front's end of a worker's socket."""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import time
from collections import deque
from collections.abc import Callable

from skerry.runtime.frames import Frame, FrameReader
from skerry.runtime.progress import ANSWERS_AT, CANCELLED, CANCELLED_AT, HELD, HELD_AT, PROGRESS

MAX_READS = 16  # in one turn of the loop, so that other connections have theirs

logger = logging.getLogger(__name__)


class WorkerLink:
    """Carries frames to and from one worker.

    It writes to the socket at once, and reads it when the loop says so or, for a moment, by looking (`poll`): waking
    a process that sleeps takes longer than many handlers run.

    Args:
        progress: Memory shared with the worker, which writes there the number of the call that it begins, and answers
            that it holds back: should the next call end the worker or keep it long, they are taken from there.
        on_frames: Called with the frames of the worker that have come together.
        on_closed: Called once, when the worker has closed its end or died.
    """

    def __init__(
        self, progress: mmap.mmap, *, on_frames: Callable[[list[Frame]], None], on_closed: Callable[[], None]
    ) -> None:
        self._progress = progress
        self._on_frames = on_frames
        self._on_closed = on_closed
        self._reader = FrameReader()
        self._collected = (0, 0)
        self._unsent: deque[memoryview] = deque()
        self._socket: socket.socket | None = None
        self._loop = asyncio.get_running_loop()

    def attach(self, ours: socket.socket) -> None:
        """Begin to read; the link owns the socket from now on."""
        ours.setblocking(False)
        self._socket = ours
        self._loop.add_reader(ours.fileno(), self._read)

    def send(self, data: bytes) -> None:
        """Send whole frames; a worker that is gone takes nothing, and its calls are settled when that is noticed."""
        if self._socket is None:
            return
        if self._unsent:
            self._unsent.append(memoryview(data))
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return  # the reader notices
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])
            self._loop.add_writer(self._socket.fileno(), self._send_rest)

    def poll(self, limit_s: float) -> bool:
        """Look for an answer for a moment, without leaving the processor to the loop; whether one came.

        Args:
            limit_s: How long to look, in seconds.
        """
        ours = self._socket
        if ours is None:
            return False
        until = time.monotonic() + limit_s
        while True:
            try:
                data = ours.recv(self._reader.read_bytes)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                os.sched_yield()  # whoever else wants this processor has it
                continue
            except OSError:
                return False  # the reader notices
            self._take(data)
            return True

    def cancel(self, number: int) -> None:
        """Note on the shared page that a call is to stop."""
        CANCELLED.pack_into(self._progress, CANCELLED_AT, number)

    def running(self) -> int:
        """Return the number of the call that the worker began last, 0 for none."""
        return int(PROGRESS.unpack_from(self._progress)[0])

    def collect(self) -> None:
        """Take the answers that the worker holds back; they may come over the socket once more."""
        number = self.running()
        held = int(HELD.unpack_from(self._progress, HELD_AT)[0])
        if not held or (number, held) == self._collected:
            return
        try:
            frames = FrameReader().feed(self._progress[ANSWERS_AT : ANSWERS_AT + held])
        except ValueError:
            return  # the worker writes over it at this moment, or always has
        if self.running() == number:  # else the worker has sent them, and written over them perhaps
            self._collected = number, held
            self._on_frames(frames)

    def release(self) -> None:
        """Give the shared page back, once the worker is settled."""
        self._progress.close()

    def close(self) -> None:
        """Close the front's end; a worker reads the end of the stream and exits."""
        ours, self._socket = self._socket, None
        if ours is None:
            return
        self._loop.remove_reader(ours.fileno())
        self._loop.remove_writer(ours.fileno())
        ours.close()
        self._unsent.clear()
        self._loop.call_soon(self._closed)

    def _read(self) -> None:
        for _ in range(MAX_READS):
            ours = self._socket
            if ours is None:
                return
            size_bytes = self._reader.read_bytes
            try:
                data = ours.recv(size_bytes)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            self._take(data)
            if len(data) < size_bytes:
                return

    def _take(self, data: bytes) -> None:
        if not data:
            self.close()
            return
        try:
            frames = self._reader.feed(data)
        except ValueError as error:
            logger.warning("a worker sends what is no frame, and is ended: %s", error)
            self.close()
            return
        if frames:
            self._on_frames(frames)

    def _send_rest(self) -> None:
        ours = self._socket
        while self._unsent and ours is not None:
            piece = self._unsent[0]
            try:
                sent = ours.send(piece)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()  # the reader notices
                break
            if sent < len(piece):
                self._unsent[0] = piece[sent:]
                return
            self._unsent.popleft()
        if ours is not None:
            self._loop.remove_writer(ours.fileno())

    def _closed(self) -> None:
        self.collect()
        self._on_closed()
