"""Which sources were seen before: an attack from forged or hired addresses comes from new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)

NEVER_MS = -1


def _nobody() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSources:
    """Sources that were seen within one to two periods. A value: ``remember`` returns another.

    Remember the sources of windows that were harmless, and not those of an attack, which would be known soon.

    Args:
        period_ms: After so long without a packet a source may be forgotten, after twice as long it is.
        most: At most so many are remembered in a period; what is beyond that stays new.
        began_ms: When the period began.
        now: Sources of this period, sorted.
        before: Sources of the one before, sorted.

    Example:
        >>> from skerry.network.flows.batch import addresses
        >>> seen = addresses(["192.0.2.1"])
        >>> KnownSources().remember(seen, now_ms=0).knows(seen).tolist()
        [True]
    """

    period_ms: int = 600_000
    most: int = 262_144
    began_ms: int = NEVER_MS
    now: NDArray[np.uint64] = field(default_factory=_nobody)
    before: NDArray[np.uint64] = field(default_factory=_nobody)

    def knows(self, sources: NDArray[Any]) -> NDArray[np.bool_]:
        """Say for each address whether it was seen.

        Args:
            sources: Array of dtype ``ADDRESS``.
        """
        marks = _marks(sources)
        return _within(marks, self.now) | _within(marks, self.before)

    def remember(self, sources: NDArray[Any], *, now_ms: int) -> Self:
        """Return what is known when these were seen as well.

        Args:
            sources: Array of dtype ``ADDRESS``.
            now_ms: The time.
        """
        now, before, began_ms = self.now, self.before, self.began_ms
        if began_ms == NEVER_MS:
            began_ms = now_ms
        elif now_ms - began_ms >= self.period_ms:
            recent = now_ms - began_ms < 2 * self.period_ms
            now, before, began_ms = _nobody(), now if recent else _nobody(), now_ms
        marks = np.unique(_marks(sources))
        fresh = marks[~_within(marks, now)][: self.most - len(now)]
        if len(fresh):
            now = np.insert(now, np.searchsorted(now, fresh), fresh)
        return type(self)(period_ms=self.period_ms, most=self.most, began_ms=began_ms, now=now, before=before)


def _marks(sources: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for each address; two of IPv6 may share one, which makes a new source look known, no more."""
    mixed: NDArray[np.uint64] = sources["high"] * _MIX ^ sources["low"]
    return mixed


def _within(marks: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    if not len(known):
        return np.zeros(len(marks), np.bool_)
    found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, marks), len(known) - 1)] == marks
    return found
