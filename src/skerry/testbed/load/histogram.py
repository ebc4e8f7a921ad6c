"""A histogram of times that keeps three significant digits at any size."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

# A bucket is at most 1/1024 of its values wide, and its middle at most 1/2048 away from them: three significant digits.
_DIGIT_BITS = 11
_HALF_BITS = _DIGIT_BITS - 1


def bucket_of(value_ns: int) -> int:
    """Return the number of the bucket that holds a time of at least 0 ns."""
    shift = value_ns.bit_length() - _DIGIT_BITS
    return value_ns if shift <= 0 else (shift << _HALF_BITS) + (value_ns >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """Return the least time of a bucket and the least one above it, in nanoseconds."""
    if bucket < 1 << _DIGIT_BITS:
        return bucket, bucket + 1
    shift = (bucket >> _HALF_BITS) - 1
    low = bucket - (shift << _HALF_BITS)
    return low << shift, (low + 1) << shift


class Histogram:
    """Counts of times in buckets that grow with the time, so that every time is known to 0.05 %.

    Up to 2,047 ns each value has a bucket of its own; from there on each doubling of the time is divided into 1,024
    buckets. Only buckets that hold something take memory: some thousand for a whole run.

    Source: G. Tene, HdrHistogram (https://hdrhistogram.org): the same buckets, for three significant digits.

    Example:
        >>> histogram = Histogram()
        >>> histogram.add(1_500_000)
        >>> round(histogram.percentile_s(0.5), 6)
        0.0015
    """

    __slots__ = ("_counts", "_least_ns", "_most_ns", "_sum_ns", "count")

    def __init__(self) -> None:
        self._counts: defaultdict[int, int] = defaultdict(int)
        self.count = 0
        self._sum_ns = 0
        self._least_ns = 0
        self._most_ns = 0

    def add(self, value_ns: int) -> None:
        """Count one time; one below zero counts as zero, for two clocks may disagree by a little."""
        value_ns = max(value_ns, 0)
        shift = value_ns.bit_length() - _DIGIT_BITS
        # The same as `bucket_of`; a call would take as long as the rest.
        self._counts[value_ns if shift <= 0 else (shift << _HALF_BITS) + (value_ns >> shift)] += 1
        self._sum_ns += value_ns
        self._most_ns = max(self._most_ns, value_ns)
        if value_ns < self._least_ns or self.count == 0:
            self._least_ns = value_ns
        self.count += 1

    def merge(self, other: Histogram) -> None:
        """Count the times of another histogram too."""
        if not other.count:
            return
        for bucket, count in other._counts.items():
            self._counts[bucket] += count
        self._least_ns = min(self._least_ns, other._least_ns) if self.count else other._least_ns
        self._most_ns = max(self._most_ns, other._most_ns)
        self._sum_ns += other._sum_ns
        self.count += other.count

    @property
    def mean_s(self) -> float:
        """The exact mean in seconds; NaN when nothing was counted."""
        return self._sum_ns / self.count / 1e9 if self.count else math.nan

    @property
    def min_s(self) -> float:
        """The exact least time in seconds; NaN when nothing was counted."""
        return self._least_ns / 1e9 if self.count else math.nan

    @property
    def max_s(self) -> float:
        """The exact greatest time in seconds; NaN when nothing was counted."""
        return self._most_ns / 1e9 if self.count else math.nan

    def percentile_s(self, ratio: float) -> float:
        """Return the least time that at least a share of the times do not exceed, in seconds.

        Args:
            ratio: The share, from 0 to 1.

        Returns:
            The middle of its bucket; the exact greatest time for 1; NaN when nothing was counted.
        """
        return self.percentiles_s([ratio])[0]

    def percentiles_s(self, ratios: Iterable[float]) -> list[float]:
        """Return several percentiles in one pass; ``ratios`` must rise."""
        found: list[float] = []
        buckets = self.buckets()
        seen, value_s = 0, math.nan
        for ratio in ratios:
            # The nearest rank, as a whole number of times; rounding keeps 0.99 * 100 from becoming 100.
            rank = min(self.count, max(1, math.ceil(round(ratio * self.count, 6))))
            while seen < rank:
                low_ns, high_ns, count = next(buckets)
                seen += count
                value_s = min(max((low_ns + high_ns - 1) / 2, self._least_ns), self._most_ns) / 1e9
            found.append(self.max_s if rank == self.count else value_s)
        return found

    def buckets(self) -> Iterator[tuple[int, int, int]]:
        """Yield the buckets that hold something, rising: least time, least time above (both in ns), count."""
        for bucket in sorted(self._counts):
            low_ns, high_ns = bounds_of(bucket)
            yield low_ns, high_ns, self._counts[bucket]

    def coarse(self, edges_ns: Sequence[int]) -> list[int]:
        """Return how many times lie below each edge and not below the one before it.

        Args:
            edges_ns: Rising; the times from the last edge on are counted in one more bar.
        """
        bars = [0] * (len(edges_ns) + 1)
        bar = 0
        for low_ns, _, count in self.buckets():
            while bar < len(edges_ns) and low_ns >= edges_ns[bar]:
                bar += 1
            bars[bar] += count
        return bars
