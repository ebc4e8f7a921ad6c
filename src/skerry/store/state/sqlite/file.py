"""One state's file, as one process sees it: reads beside everything, writes one after the other.

SQLite's own way to wait for another writer is to sleep for some milliseconds and to try again. With eight processes
that write all the time most of them sleep while the file is free, and some wait for seconds. Here they queue at the
gate, a file that they lock: the kernel wakes one of them when it is free, and gives it back when its holder is killed.

A handler may be interrupted at any line of Python, and its process lives on: a gate that it kept would stop all others.
So the gate is opened by a built-in function in ``finally``. Python looks for signals when a function of Python begins,
such as the ``__exit__`` of a context manager, but not on the way into a ``finally`` and its first call.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path

from skerry.store.state import faults
from skerry.store.state.operation import READS, Operation, Results
from skerry.store.state.sqlite.forking import remember
from skerry.store.state.sqlite.running import ONE_STATEMENT, run
from skerry.store.state.sqlite.schema import BUSY_TIMEOUT_MS, connect
from skerry.store.state.sqlite.unit import Unit

MOST_WAL_BYTES = 16 * 2**20
LOOK_AT_LOG = 8  # writes between two looks at its size
READERS_TIMEOUT_MS = 100
FIRST_LOOK_S = 0.0005
LONGEST_LOOK_S = 0.02


class StateFile:
    """The file of a state; usable from any thread, one call at a time runs.

    It is opened when it is first used, and closed around a fork.

    Args:
        path: The file, made when it is missing.
        group: The state's name, for messages.
        clock_ms: The time, milliseconds since 1970.
    """

    def __init__(self, path: Path, group: str, clock_ms: Callable[[], int]) -> None:
        self._path, self._group, self._clock_ms = path, group, clock_ms
        self._log = Path(f"{path}-wal")
        self._lock = threading.Lock()
        self._open: tuple[sqlite3.Connection, int] | None = None
        self._writes = 0
        remember(self)

    def run(self, operations: Sequence[Operation]) -> Results:
        """Do the operations at one moment; see `StateStore.run`."""
        reads = all(operation.verb in READS for operation in operations)
        with self._lock, self._told():
            connection, gate = self._open or self._opened()
            return self._read(connection, operations) if reads else self._write(connection, gate, operations)

    def wait(self, revision: int, timeout_s: float) -> None:
        """Return once the revision is greater, or the time is over."""
        until, pause_s = time.monotonic() + timeout_s, FIRST_LOOK_S
        while True:
            with self._lock, self._told():
                connection, _ = self._open or self._opened()
                if connection.execute("SELECT revision FROM meta").fetchone()[0] > revision:
                    return
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)

    def close(self) -> None:
        """Close the file; it is opened again when it is used."""
        with self._lock:
            self._close()

    def before_fork(self) -> None:
        """Close the file and keep it closed until `after_fork`: SQLite's locks do not survive a fork."""
        self._lock.acquire()
        self._close()

    def after_fork(self) -> None:
        """Let the file be opened again, by the parent and by the child."""
        self._lock.release()

    def _close(self) -> None:
        if self._open is not None:
            connection, gate = self._open
            self._open = None
            connection.close()
            os.close(gate)

    def _opened(self) -> tuple[sqlite3.Connection, int]:
        make_folder(self._path.parent)
        gate = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(gate, LOCK_EX)
            connection = connect(self._path)
        except BaseException:
            os.close(gate)
            raise
        flock(gate, LOCK_UN)
        self._open = connection, gate
        return self._open

    def _read(self, connection: sqlite3.Connection, operations: Sequence[Operation]) -> Results:
        unit = Unit(connection, self._group, self._clock_ms())
        try:
            if len(operations) > 1 or operations[0].verb not in ONE_STATEMENT:
                connection.execute("BEGIN")
            return run(unit, operations)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _write(self, connection: sqlite3.Connection, gate: int, operations: Sequence[Operation]) -> Results:
        try:
            flock(gate, LOCK_EX)
            if connection.in_transaction:  # a call that was interrupted while it undid its own
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            results = run(Unit(connection, self._group, self._clock_ms()), operations)
            connection.execute("COMMIT")
            self._writes += 1
            if self._writes % LOOK_AT_LOG == 0 and os.stat(self._log).st_size > MOST_WAL_BYTES:
                self._empty_log(connection)
        finally:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            finally:
                flock(gate, LOCK_UN)
        return results

    def _empty_log(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the file while nobody can write: if others wrote on, it might never become empty."""
        connection.execute(f"PRAGMA busy_timeout = {READERS_TIMEOUT_MS}")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise faults.failed(str(self._path), str(error)) from error


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, closed to other users: an engine's folder may be among them."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
