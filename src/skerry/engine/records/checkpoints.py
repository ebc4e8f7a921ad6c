"""Moves the write-ahead log of the records into their file, in a thread: that waits for the disk.

Left to itself, SQLite does this in whichever commit makes the log long; the engine's loop, which commits, would then
wait for the disk twice, and serve nobody meanwhile.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from pathlib import Path

logger = logging.getLogger(__name__)
COMMITS = 256  # after so many, the log is moved
LOOK_COMMITS = 8  # between two looks at the size of the file
SOME_BYTES = 4 * 2**20  # or once its file has grown by so much
MUCH_BYTES = 16 * 2**20  # a log of this size is moved whole, which holds up the writer: it would grow for ever
BUSY_TIMEOUT_S = 0.2


class Checkpoints:
    """The thread's work for one file.

    The log is written from its beginning again once all of it is moved. Where the writer rests for some milliseconds,
    that comes about by itself.

    Args:
        path: The SQLite file; whoever writes it makes no checkpoints.
        writer: Held by whoever writes.
    """

    def __init__(self, path: Path, *, writer: threading.RLock) -> None:
        self._path = path
        self._log_path = f"{path}-wal"
        self._writer = writer
        self._commits = 0
        self._looked_bytes = 0  # the size of the log's file when it was moved last
        self._wanted = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None  # most files are closed before there is anything to move

    def wrote(self) -> None:
        """Count a commit; the writer calls it."""
        self._commits += 1
        if self._commits >= COMMITS or (
            self._commits % LOOK_COMMITS == 0 and self._file_bytes() >= self._looked_bytes + SOME_BYTES
        ):
            self.want()

    def want(self) -> None:
        """Have the log moved soon, for instance because the disk is full: the next commit may then begin it anew."""
        self._commits = 0
        if self._thread is None and not self._stopping:
            thread = threading.Thread(target=self._work, name="skerry-checkpoints", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # at the limit of processes; what was committed is on record all the same
                logger.warning("the log of %s is not moved, and tried again later: %s", self._path, error)
                return
            self._thread = thread
        self._wanted.set()

    def stop(self) -> None:
        """End; what is left of the log is moved when the file is closed."""
        self._stopping = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _file_bytes(self) -> int:
        try:
            return os.stat(self._log_path).st_size
        except OSError:
            return 0

    def _work(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while self._wanted.wait() and not self._stopping:
                self._wanted.clear()
                try:
                    if connection is None:
                        connection = self._open()
                    self._move(connection)
                except sqlite3.Error as error:
                    logger.warning("the log of %s is not moved, and tried again later: %s", self._path, error)
                self._looked_bytes = self._file_bytes()
        finally:
            if connection is not None:
                connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _move(self, connection: sqlite3.Connection) -> None:
        if self._checkpoint(connection) < MUCH_BYTES:
            return
        with self._writer:  # what has come meanwhile is little
            self._checkpoint(connection)

    def _checkpoint(self, connection: sqlite3.Connection) -> int:
        """Move what can be moved; return the size of the part of the log that is in use, bytes."""
        ((_, pages, _),) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        ((page_bytes,),) = connection.execute("PRAGMA page_size").fetchall()
        return int(pages * page_bytes)
