"""How late packets leave, counted: whether the machine keeps up with the links that it emulates."""

from __future__ import annotations

from typing import Any

BUCKET_S = 10e-6
BUCKETS = 2000


class Lateness:
    """A histogram of lateness in steps of 10 microseconds up to 20 ms; later packets share the last bucket."""

    def __init__(self) -> None:
        self._counts = [0] * (BUCKETS + 1)
        self._total = 0
        self._sum_s = 0.0
        self._worst_s = 0.0

    def add(self, late_s: float) -> None:
        """Count a packet that left so many seconds after its moment."""
        index = int(late_s / BUCKET_S) if late_s > 0.0 else 0
        self._counts[index if index < BUCKETS else BUCKETS] += 1
        self._total += 1
        self._sum_s += late_s
        self._worst_s = max(self._worst_s, late_s)

    def quantile_ms(self, share: float) -> float:
        """Return the lateness that a share of the packets stays within, milliseconds."""
        wanted = share * self._total
        seen = 0
        for index, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return (index + 1) * BUCKET_S * 1000 if index < BUCKETS else self._worst_s * 1000
        return 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain data."""
        return {
            "packets": self._total,
            "mean_ms": self._sum_s / self._total * 1000 if self._total else 0.0,
            "p50_ms": self.quantile_ms(0.5),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self._worst_s * 1000,
        }
