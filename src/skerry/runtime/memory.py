"""Giving memory back: what a crowd of requests has taken does not have to stay with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

PERIOD_S = 30.0
# Numbers of glibc's mallopt(3).
_MMAP_THRESHOLD = -3
_ARENA_MAX = -8
APART_BYTES = 512 * 1024  # what is larger is mapped by itself, and given back as soon as it is free
ARENAS = 2  # heaps; by default there may be eight for each processor, and each keeps holes of its own


def return_memory() -> None:
    """Have the C library return its free memory to the system; where it has no such call, nothing happens."""
    import ctypes  # most workers never need it, and each imports this module

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class MemoryReturn:
    """Has the C library return free memory to the system, every half minute.

    It keeps what large bodies and long queues have left free in the middle of its heap; without this a front stays as
    large as its busiest moment. Large bodies are kept out of the heap from the start: by default the C library takes
    them into it once the first of them has been freed, and what is then put between them keeps their place for good.
    """

    def __init__(self) -> None:
        import asyncio
        import ctypes

        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            library.mallopt(_MMAP_THRESHOLD, APART_BYTES)
            library.mallopt(_ARENA_MAX, ARENAS)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        """Return nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = self._loop.call_later(PERIOD_S, self._give_back)

    def _give_back(self) -> None:
        return_memory()
        self._arm()
