"""One state's file, as one process sees it: reads beside everything, writes one after the other."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from skerry.store.state import faults
from skerry.store.state.operation import READS, Operation, Results
from skerry.store.state.sqlite.gate import Gate
from skerry.store.state.sqlite.running import ONE_STATEMENT, run
from skerry.store.state.sqlite.schema import connect
from skerry.store.state.sqlite.unit import Unit

WAL_BYTES = 8 * 2**20
FIRST_LOOK_S = 0.0005
LONGEST_LOOK_S = 0.02


class StateFile:
    """An open file of a state; usable from any thread, one call at a time runs.

    Args:
        path: The file, made when it is missing.
        group: The state's name, for messages.
        clock_ms: The time, milliseconds since 1970.

    Raises:
        ConfigError: a newer Skerry wrote the file.
        StorageError: it cannot be opened.
    """

    def __init__(self, path: Path, group: str, clock_ms: Callable[[], int]) -> None:
        self._path, self._group, self._clock_ms = path, group, clock_ms
        self._log = Path(f"{path}-wal")
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._gate = Gate(path.with_suffix(".lock"))
            with self._gate:
                self._connection = connect(path)
        self._writes = 0

    def run(self, operations: Sequence[Operation]) -> Results:
        """Do the operations at one moment; see `StateStore.run`."""
        reads = all(operation.verb in READS for operation in operations)
        with self._lock, self._told():
            return self._read(operations) if reads else self._write(operations)

    def wait(self, revision: int, timeout_s: float) -> None:
        """Return once the revision is greater, or the time is over."""
        until, pause_s = time.monotonic() + timeout_s, FIRST_LOOK_S
        while True:
            with self._lock, self._told():
                if self._connection.execute("SELECT revision FROM meta").fetchone()[0] > revision:
                    return
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
            self._gate.close()

    def _read(self, operations: Sequence[Operation]) -> Results:
        unit = Unit(self._connection, self._group, self._clock_ms())
        if len(operations) == 1 and operations[0].verb in ONE_STATEMENT:
            return run(unit, operations)
        self._connection.execute("BEGIN")
        try:
            return run(unit, operations)
        finally:
            self._connection.execute("ROLLBACK")

    def _write(self, operations: Sequence[Operation]) -> Results:
        with self._gate:
            if self._connection.in_transaction:  # a call that was interrupted while it undid its own
                self._connection.execute("ROLLBACK")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                results = run(Unit(self._connection, self._group, self._clock_ms()), operations)
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        self._writes += 1
        if self._writes % 64 == 0:
            self._checkpoint()
        return results

    def _checkpoint(self) -> None:
        # Outside the gate: others write on while the log is copied into the file, which takes a flush of the disk.
        if os.stat(self._log).st_size > WAL_BYTES:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise faults.failed(str(self._path), str(error)) from error
