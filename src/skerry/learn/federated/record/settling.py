"""What a record leaves to a thread: waiting for the disk, and removing what is not needed once the disk has it."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

PERIOD_S = 0.25  # between two waits for the disk, which rounds wait for too


class Settling:
    """A thread that has checkpoints reach the disk, and then removes what they make needless.

    No round waits for it: until the disk has a checkpoint, the replies that it was made of are kept, and would give the
    same one again. Of checkpoints that follow each other quickly the newest stands for those before it.
    """

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[tuple[str, Sequence[str]] | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="skerry-settling", daemon=True)
        self._thread.start()

    def settle(self, path: str, needless: Sequence[str]) -> None:
        """Have a file reach the disk, and then remove others; those that were given before it are settled with it."""
        self._waiting.put((path, needless))

    def close(self) -> None:
        """Wait until all of it is done."""
        self._waiting.put(None)
        self._ending.set()
        self._thread.join()

    def _work(self) -> None:
        ends = False
        while not ends and (item := self._waiting.get()) is not None:
            path, removed = item[0], list(item[1])
            while not self._waiting.empty():
                later = self._waiting.get()
                if later is None:
                    ends = True
                    break
                path = later[0]
                removed += later[1]
            if _sync(path):
                for other in removed:
                    with suppress(FileNotFoundError):
                        os.unlink(other)
            self._ending.wait(PERIOD_S)


def _sync(path: str) -> bool:
    """Have a file reach the disk; return whether it is there: somebody may have removed the run."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    return True
