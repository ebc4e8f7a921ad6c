"""The load over a sliding window, weighted by time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    start_s: float
    end_s: float
    load: float


class LoadWindow:
    """Averages a load over the last ``window_s`` seconds.

    Samples that are shorter than a bucket share one, so memory and work are bounded however often it is called.

    Args:
        window_s: Length of the window, above 0.
    """

    def __init__(self, window_s: float) -> None:
        self.window_s = window_s
        self.bucket_s = min(max(window_s / 60, 0.02), 1.0)
        self._buckets: deque[_Bucket] = deque()

    def record(self, start_s: float, end_s: float, load: float) -> None:
        """Add the average load from ``start_s`` to ``end_s``; each call begins where the one before it ended."""
        start_s = max(start_s, end_s - self.window_s)
        if end_s <= start_s:
            return
        last = self._buckets[-1] if self._buckets else None
        if last is not None and end_s - last.start_s <= self.bucket_s:
            share = (end_s - start_s) / (end_s - last.start_s)
            last.load += (load - last.load) * share
            last.end_s = end_s
        else:
            self._buckets.append(_Bucket(start_s, end_s, load))
        while self._buckets[0].end_s <= end_s - self.window_s:
            self._buckets.popleft()

    def average(self, now_s: float) -> float:
        """Return the average load over the window, or over the part of it that has been recorded; 0 without any."""
        oldest_s = now_s - self.window_s
        covered_s = weighted = 0.0
        for bucket in self._buckets:
            length_s = bucket.end_s - max(bucket.start_s, oldest_s)
            if length_s > 0:
                covered_s += length_s
                weighted += length_s * bucket.load
        return weighted / covered_s if covered_s else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()


class Extreme:
    """The largest value of the last ``window_s`` seconds: later than ``now - window_s``, not at it.

    Args:
        window_s: Length of the window; 0 keeps the last value only.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._falling: deque[tuple[float, float]] = deque()

    def record(self, now_s: float, value: float) -> float:
        """Add a value and return the largest of the window."""
        # A value that a later one reaches can never be the largest again.
        while self._falling and self._falling[-1][1] <= value:
            self._falling.pop()
        self._falling.append((now_s, value))
        while len(self._falling) > 1 and self._falling[0][0] <= now_s - self._window_s:
            self._falling.popleft()
        return self._falling[0][1]
