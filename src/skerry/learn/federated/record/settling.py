"""What a record leaves to a thread: waiting for the disk, and removing what is not needed once the disk has it."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress


class Settling:
    """A thread that has checkpoints reach the disk, and then removes what they make needless.

    No round waits for it: until the disk has a checkpoint, the replies that it was made of are kept, and would give the
    same one again.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[str, Sequence[str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="skerry-settling", daemon=True)
        self._thread.start()

    def settle(self, path: str, needless: Sequence[str]) -> None:
        """Have a file reach the disk, and then remove others."""
        self._waiting.put((path, needless))

    def close(self) -> None:
        """Wait until all of it is done."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            path, needless = item
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # a later one has been settled already, and this one removed
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
            for other in needless:
                with suppress(FileNotFoundError):
                    os.unlink(other)
