"""Who writes next: a lock that the kernel hands on, so that nobody sleeps and retries.

SQLite's own way to wait for another writer is to sleep for some milliseconds and to try again. With eight processes
that write all the time most of them sleep while the file is free, and some wait for seconds. Here they queue in the
kernel, which wakes one of them when the file is free, and gives the lock back when its holder is killed.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType


class Gate:
    """A lock between processes, and between objects in one process; a context manager.

    Args:
        path: The file that is locked; made when it is missing.
    """

    __slots__ = ("_descriptor",)

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:  # a call that is told to end while it waits, perhaps at the very moment it has the lock
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file, and so give back the lock."""
        os.close(self._descriptor)
