"""Data sets that came before their template: kept for a while, within a bound."""

from __future__ import annotations

from dataclasses import dataclass

from skerry.network.flows.counts import Counts
from skerry.network.flows.domain import DomainKey
from skerry.network.flows.origin import Origin

# What Python needs to keep one set besides its bytes.
_OVERHEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class HeldSet:
    """A data set without its header, and what its datagram said."""

    body: bytes
    origin: Origin


class Waiting:
    """Held sets of all domains.

    Args:
        counts: Where it counts what it gives up.
        max_bytes: Memory for all of them. The domain and template that waits longest gives way.
        max_age_ms: A set older than this is not worth its template any more.
    """

    def __init__(self, counts: Counts, *, max_bytes: int = 1 << 20, max_age_ms: int = 60_000) -> None:
        self._counts = counts
        self._max_bytes = max_bytes
        self._max_age_ms = max_age_ms
        self._held: dict[tuple[DomainKey, int], list[HeldSet]] = {}
        self._bytes = 0

    @property
    def used_bytes(self) -> int:
        """Memory that is taken."""
        return self._bytes

    def hold(self, key: DomainKey, number: int, held: HeldSet) -> None:
        """Keep a set until the template of this number comes."""
        size = len(held.body) + _OVERHEAD_BYTES
        if size > self._max_bytes:
            self._counts.sets_dropped += 1
            return
        self._counts.sets_held += 1
        self._bytes += size
        self._held.setdefault((key, number), []).append(held)
        while self._bytes > self._max_bytes:
            self._counts.sets_dropped += len(self._remove(next(iter(self._held))))

    def take(self, key: DomainKey, number: int, now_ms: int) -> list[HeldSet]:
        """Return and forget the sets that waited for a template, but for those that are too old."""
        if (key, number) not in self._held:
            return []
        held = self._remove((key, number))
        fresh = [each for each in held if now_ms - each.origin.received_ms <= self._max_age_ms]
        self._counts.sets_dropped += len(held) - len(fresh)
        self._counts.sets_recovered += len(fresh)
        return fresh

    def _remove(self, key: tuple[DomainKey, int]) -> list[HeldSet]:
        held = self._held.pop(key)
        self._bytes -= sum(len(each.body) + _OVERHEAD_BYTES for each in held)
        return held
