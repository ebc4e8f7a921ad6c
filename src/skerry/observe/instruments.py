"""What counts: a counter, a histogram, and numbers that are asked for when somebody looks.

An instrument holds the numbers of one set of label values. It is made once and kept; what counts a request then touches
plain attributes: no label is looked up and no lock is taken, for everything that counts runs on one event loop.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from skerry.observe.exposition import label_text, number_text, sample

FEW = 4  # up to so many values, one by one is quicker than sorted


class Instrument(Protocol):
    """The numbers of one set of label values."""

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the samples, given the family's name and the labels as text."""


class Counter:
    """A number that only grows: ``counter.value += 1``."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the sample."""
        yield sample(name, labels, self.value)


class Histogram:
    """Counts values by size.

    Args:
        bounds: Upper ends of the buckets, inclusive, rising; one more bucket takes what is above the last.
    """

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # by bucket, not cumulative
        self.sum: float = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def observe_many(self, value: float, count: int) -> None:
        """Count one value ``count`` times."""
        self.counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count

    def observe_all(self, values: Sequence[float]) -> None:
        """Count several values: sorted first, which is quick for values in order, then one search per bucket in use."""
        if len(values) <= FEW:
            for value in values:
                self.observe(value)
            return
        bounds, counts = self.bounds, self.counts
        self.sum += sum(values)
        values = sorted(values)
        done, end = 0, len(values)
        while done < end:
            bucket = bisect_left(bounds, values[done])
            until = end if bucket == len(bounds) else bisect_right(values, bounds[bucket], done)
            counts[bucket] += until - done
            done = until

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the buckets, cumulative, and the sum and the count."""
        comma = "," if labels else ""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            total += count
            yield sample(f"{name}_bucket", f'{labels}{comma}le="{number_text(float(bound))}"', total)
        yield sample(f"{name}_sum", labels, self.sum)
        yield sample(f"{name}_count", labels, total)


class Callback:
    """A number that is asked for when somebody looks."""

    __slots__ = ("read",)

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield the sample."""
        yield sample(name, labels, self.read())


class Split:
    """Numbers by the value of one further label, asked for when somebody looks."""

    __slots__ = ("label", "read")

    def __init__(self, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        self.label = label
        self.read = read

    def lines(self, name: str, labels: str) -> Iterator[str]:
        """Yield a sample for each key of the mapping."""
        comma = "," if labels else ""
        for key, value in self.read().items():
            yield sample(name, f"{labels}{comma}{label_text((self.label,), (key,))}", value)
