"""What a coordinator remembers of a round's secure aggregation: it goes on after its death with the same tasks."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from skerry.learn.federated.wire.frames import frame_pieces, read_frame, write_all


class CeremonyLog:
    """A file of what has happened, in its order.

    Args:
        path: The file; it is created when missing, and what a crash left of a last entry is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what the file holds, one entry in memory at a time."""
        size = os.fstat(self._descriptor).st_size
        end = 0
        if size:
            with mmap.mmap(self._descriptor, size, access=mmap.ACCESS_READ) as content:
                while (found := _read(content, end)) is not None:
                    value, end = found
                    yield value
        if end < size:
            os.ftruncate(self._descriptor, end)

    def add(self, entry: dict[str, Any], *, sync: bool = False) -> None:
        """Add an entry.

        Args:
            entry: Of plain types.
            sync: Whether to wait until it, and all before it, is on disk.
        """
        write_all(self._descriptor, frame_pieces(entry))
        if sync:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _read(content: mmap.mmap, at: int) -> tuple[dict[str, Any], int] | None:
    with memoryview(content) as view:
        return read_frame(view, at)
