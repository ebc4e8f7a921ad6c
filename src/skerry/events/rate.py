"""How fast deliveries are settled, which says how long it takes until there is room."""

from __future__ import annotations

import time


class Rate:
    """How many deliveries are settled per second, over the last seconds."""

    def __init__(self, window_s: float = 10.0) -> None:
        self._window_s = window_s
        self._began_s = time.monotonic()
        self._count = 0
        self._before = 0.0

    def add(self, count: int) -> None:
        """Count some."""
        self._count += count

    def per_s(self) -> float:
        """Return the rate."""
        passed_s = time.monotonic() - self._began_s
        if passed_s >= self._window_s:
            self._before, self._count, self._began_s = self._count / passed_s, 0, time.monotonic()
            return self._before
        return max(self._before, self._count / max(1.0, passed_s))
