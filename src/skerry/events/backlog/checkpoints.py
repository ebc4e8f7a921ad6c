"""Moves the write-ahead log of a SQLite file into the file, in a thread: that waits for the disk."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)
PERIOD_S = 0.5
BUSY_TIMEOUT_S = 0.2
RESCUE_S = 5.0
SOME_BYTES = 4 * 2**20  # of the log, from which on it is moved beside the writer
MUCH_BYTES = 64 * 2**20  # from which on the writer is held up until all of it is moved, or it would grow for ever


class Checkpoints:
    """The thread's work for one file; needs a running event loop.

    The log is written from its beginning again once all of it is moved, which a writer that never rests prevents. It is
    held up for what has come while the rest was moved, some 10 ms. The log's file keeps its size meanwhile: to cut it
    takes 40 ms, and is left for a moment of rest.

    Args:
        path: The SQLite file; whoever writes it makes no checkpoints.
        resume: Called when the writer is held up no more.
    """

    def __init__(self, path: Path, *, resume: Callable[[], None]) -> None:
        self.holds_up = False
        self._path = path
        self._log = Path(f"{path}-wal")
        self._resume = resume
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None
        self._has_written = False  # since the log was looked at
        self._stopping = False
        self._next_rescue_s = 0.0
        self._connection: sqlite3.Connection | None = None  # the thread's

    def wrote(self) -> None:
        """Look after the log soon: something was committed."""
        self._has_written = True
        if self._timer is None and self._work is None:
            self._look_later()

    def make_room(self) -> None:
        """Move and cut the log, unless that was tried a moment ago: a disk that is full may have room then."""
        now_s = self._loop.time()
        if self._work is None and not self._stopping and now_s >= self._next_rescue_s:
            self._next_rescue_s = now_s + RESCUE_S
            self._work = self._loop.create_task(self._move(rests=True, rescues=True))

    async def leave(self) -> None:
        """Return once the writer is not held up."""
        if self._work is not None and self.holds_up:
            await asyncio.wait([self._work])

    async def stop(self) -> None:
        """End; what is left of the log is moved when the file is closed."""
        self._stopping = True
        if self._work is not None:
            await self._work
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.close()

    # Inside

    def _look_later(self) -> None:
        if not self._stopping:
            self._timer = self._loop.call_later(PERIOD_S, self._look)

    def _look(self) -> None:
        self._timer = None
        try:
            size_bytes = self._log.stat().st_size
        except OSError:
            return
        rests, self._has_written = not self._has_written, False
        if size_bytes >= SOME_BYTES:
            self._work = self._loop.create_task(self._move(rests=rests))

    async def _move(self, *, rests: bool, rescues: bool = False) -> None:
        try:
            log_bytes = await asyncio.to_thread(self._checkpoint, "PASSIVE")
            rests = rescues or (rests and not self._has_written)
            if rests or (self._has_written and log_bytes >= MUCH_BYTES):  # where nobody has, all of it is moved
                self.holds_up = True
                await asyncio.to_thread(self._checkpoint, "TRUNCATE" if rests else "PASSIVE")
        except sqlite3.Error as error:
            logger.warning("the log of %s is not moved, and tried again: %s", self._path, error)
        finally:
            self._work = None
            if self._timer is None:
                self._look_later()
            if self.holds_up:
                self.holds_up = False
                self._resume()

    def _checkpoint(self, how: str) -> int:
        """Move what can be moved; return the size of the part of the log that is in use, bytes."""
        if self._connection is None:
            self._connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA synchronous = NORMAL")
        ((_, pages, _),) = self._connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
        ((page_bytes,),) = self._connection.execute("PRAGMA page_size").fetchall()
        return int(pages * page_bytes)
