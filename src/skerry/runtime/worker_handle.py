"""The front's hand on one worker process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import Any, Protocol

from skerry.runtime.call import Slot
from skerry.runtime.frames import Frame, Kind, encode_frame
from skerry.runtime.link import WorkerLink

logger = logging.getLogger(__name__)

TRACE_SIGNAL = signal.SIGUSR2
TRACE_S = 0.05  # how long a worker has to log where its code is


class Employer(Protocol):
    """What a worker's hand needs of its pool."""

    def answered(self, worker: Worker, frames: list[Frame]) -> None:
        """Take what a ready worker says about its calls."""

    def heard(self, worker: Worker, frame: Frame) -> None:
        """Take what a worker says while it starts."""

    def closed(self, worker: Worker) -> None:
        """The worker has closed its end of the link."""


class Worker:
    """One worker process, from the moment it is asked for.

    Args:
        pool: Who has asked for it.
        function: What it runs, for the log.
        progress: Memory shared with it.
    """

    def __init__(self, pool: Employer, function: str, progress: Any) -> None:
        self.pid: int | None = None
        self.exit_code: int | None = None
        self.link = WorkerLink(progress, on_frames=self._on_frames, on_closed=self._on_closed)
        self.slot = Slot(self)
        self.state = "starting"
        self.killed = False
        self.asked_s = 0.0
        self.interruptible = False  # a signal stops what it runs
        self.timer: asyncio.TimerHandle | None = None
        self._pool = pool
        self._function = function

    @property
    def is_order(self) -> bool:
        """Whether it has been asked for, is still wanted, and has not greeted yet."""
        return self.state == "starting" and self.pid is None and not self.killed

    def send(self, data: bytes) -> None:
        """Send frames."""
        self.link.send(data)

    def running(self) -> int:
        """Return the number of the call that it began last."""
        return self.link.running()

    def cancel(self, number: int) -> None:
        """Ask it to stop a call: by a frame, and by a signal where plain code may be running it."""
        self.link.cancel(number)
        self.link.send(encode_frame(Kind.CANCEL, number))
        if self.interruptible and self.pid is not None and self.exit_code is None and self.running() == number:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGUSR1)

    def poll(self, limit_s: float) -> bool:
        """Look for an answer for so long; whether one came."""
        return self.link.poll(limit_s)

    def kill(self) -> None:
        """End it and what it has started, at once."""
        self.killed = True
        if self.pid is not None and self.exit_code is None:
            for end in (os.killpg, os.kill):
                try:
                    end(self.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.link.close()

    def kill_traced(self) -> None:
        """Have it log where its code is, and end it a moment later."""
        if self.pid is not None and self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, TRACE_SIGNAL)
        asyncio.get_running_loop().call_later(TRACE_S, self.kill)

    def _on_frames(self, frames: list[Frame]) -> None:
        if self.state in ("ready", "draining"):
            self._pool.answered(self, frames)
            return
        for at, frame in enumerate(frames):
            try:
                self._pool.heard(self, frame)
            except Exception:  # whatever it is, it came from the worker
                logger.warning("a worker of %s begins with what is no greeting, and is ended", self._function)
                self.kill()
                return
            if self.state == "ready" and frames[at + 1 :]:
                self._on_frames(frames[at + 1 :])
                return

    def _on_closed(self) -> None:
        self._pool.closed(self)
