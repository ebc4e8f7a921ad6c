"""A folder of states: one SQLite file for each, below the folder of its app."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from skerry.store.state import faults
from skerry.store.state.base import StateStore
from skerry.store.state.operation import Operation, Results
from skerry.store.state.sqlite.file import StateFile

SUFFIX = ".sqlite3"


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SqliteStateStore(StateStore):
    """States in the files ``APP/NAME.sqlite3`` of a folder.

    Args:
        folder: The folder, made when something is written.
        clock_ms: The time by which keys end, milliseconds since 1970.
    """

    def __init__(self, folder: Path, *, clock_ms: Callable[[], int] = now_ms) -> None:
        self._folder = folder.absolute()
        self._clock_ms = clock_ms
        self._files: dict[str, StateFile] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The folder as an address."""
        return self._folder.as_uri()

    def run(self, group: str, operations: Sequence[Operation]) -> Results:
        """Do the operations at one moment; see `StateStore.run`."""
        return self._file(group).run(operations)

    def wait(self, group: str, revision: int, timeout_s: float) -> None:
        """Return once the group's revision is greater, or the time is over; looks every 0.5 to 20 ms."""
        self._file(group).wait(revision, timeout_s)

    def groups(self, app: str) -> list[str]:
        """Return the names of the app's states, sorted."""
        try:
            return sorted(path.stem for path in (self._folder / app).glob(f"*{SUFFIX}"))
        except OSError as error:
            raise faults.failed(str(self._folder), str(error)) from error

    def close(self) -> None:
        """Close all files; they are opened again when they are used."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _file(self, group: str) -> StateFile:
        file = self._files.get(group)
        if file is None:
            with self._lock:
                file = self._files.get(group)
                if file is None:
                    file = StateFile(self._folder / f"{group}{SUFFIX}", group, self._clock_ms)
                    self._files[group] = file
        return file
