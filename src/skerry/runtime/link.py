"""The front's end of a worker's socket."""

from __future__ import annotations

import asyncio
import mmap
import struct
from collections.abc import Callable

from skerry.runtime.frames import Frame, FrameReader

PROGRESS = struct.Struct("<I")  # number of the call that the worker began last
HELD = struct.Struct("<I")  # bytes of answers that the worker holds back for a moment, to send several at once
HELD_AT = PROGRESS.size
ANSWERS_AT = HELD_AT + HELD.size
PROGRESS_BYTES = 8 * mmap.PAGESIZE


class WorkerLink(asyncio.Protocol):
    """Carries frames to and from one worker.

    Args:
        progress: Memory shared with the worker, which writes there the number of the call that it begins, and answers
            that it holds back: should the next call end the worker or keep it long, they are taken from there.
        on_frame: Called with each frame of the worker.
        on_closed: Called once, when the worker has closed its end or died.
    """

    def __init__(
        self, progress: mmap.mmap, *, on_frame: Callable[[Frame], None], on_closed: Callable[[], None]
    ) -> None:
        self._progress = progress
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._reader = FrameReader()
        self._collected = (0, 0)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transport is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        """Take what the worker has sent."""
        for frame in self._reader.feed(data):
            self._on_frame(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the worker is gone."""
        self._transport = None
        self.collect()
        self._on_closed()

    def send(self, data: bytes) -> None:
        """Send whole frames; a worker that is gone takes nothing, and its calls are settled when that is noticed."""
        if self._transport is not None:
            self._transport.write(data)

    def running(self) -> int:
        """Return the number of the call that the worker began last, 0 for none."""
        return int(PROGRESS.unpack_from(self._progress)[0])

    def collect(self) -> None:
        """Take the answers that the worker holds back; they may come over the socket once more."""
        number = self.running()
        held = int(HELD.unpack_from(self._progress, HELD_AT)[0])
        if not held or (number, held) == self._collected:
            return
        frames = FrameReader().feed(self._progress[ANSWERS_AT : ANSWERS_AT + held])
        if self.running() == number:  # else the worker has sent them, and written over them perhaps
            self._collected = number, held
            for frame in frames:
                self._on_frame(frame)

    def release(self) -> None:
        """Give the shared page back, once the worker is settled."""
        self._progress.close()

    def close(self) -> None:
        """Close the front's end; a worker reads the end of the stream and exits."""
        if self._transport is not None:
            self._transport.close()
