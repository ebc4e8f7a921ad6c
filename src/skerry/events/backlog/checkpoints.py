"""Moves the write-ahead log of a SQLite file into the file, in a thread: that waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)
PERIOD_S = 0.5
SOME_BYTES = 4 * 2**20  # of the log, from which on it is moved beside the writer
MUCH_BYTES = 64 * 2**20  # from which on the writer is held up until all of it is moved, or it would grow for ever


class Checkpoints:
    """The thread's work for one file; needs a running event loop.

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

    def wrote(self) -> None:
        """Look after the log soon: something was committed."""
        if self._timer is None and self._work is None:
            self._timer = self._loop.call_later(PERIOD_S, self._look)

    async def leave(self) -> None:
        """Return once the writer is not held up."""
        if self._work is not None and self.holds_up:
            await asyncio.wait([self._work])

    async def stop(self) -> None:
        """End; what is left of the log is moved when the file is closed."""
        if self._timer is not None:
            self._timer.cancel()
        if self._work is not None:
            await self._work

    def _look(self) -> None:
        self._timer = None
        try:
            size_bytes = self._log.stat().st_size
        except OSError:
            return
        if size_bytes >= SOME_BYTES:
            self._work = self._loop.create_task(self._move("TRUNCATE" if size_bytes >= MUCH_BYTES else "PASSIVE"))

    async def _move(self, how: str) -> None:
        self.holds_up = how == "TRUNCATE"
        try:
            await asyncio.to_thread(self._checkpoint, how)
        except sqlite3.Error as error:
            logger.warning("the log of %s is not moved, and tried again: %s", self._path, error)
        finally:
            self._work = None
            if self.holds_up:
                self.holds_up = False
                self._resume()

    def _checkpoint(self, how: str) -> None:
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
