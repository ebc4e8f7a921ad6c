"""When was the machine itself slow? Pure: from what a process that only sleeps and wakes has seen.

The host of a virtual machine stops its processors for some milliseconds at times, or slows them down many times. What
is emulated in that moment is late, as anything else is. Such moments are told from faults of a link by their time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

# How often a process wakes to look.
EVERY_S = 0.001
# A process of real-time priority wakes within some 20 us; a fixed piece of work takes as long as the last time.
LATE_S = 1e-4
SLOW_FACTOR = 3.0
# How near to a packet's sending and arrival a slow moment counts.
AROUND_S = 0.002

Span = tuple[float, float]


def slow_spans(wakes: Sequence[tuple[float, float, float]]) -> list[Span]:
    """Return the moments in which a processor was slow: it woke a process late, or took long for a piece of work.

    Args:
        wakes: When the process was to wake, how much later it did, and how long its piece of work took; seconds.
    """
    if not wakes:
        return []
    usual_s = sorted(took_s for _, _, took_s in wakes)[len(wakes) // 4]
    # Nothing is known of the time until the next wake: it belongs to this one.
    return [
        (due_s, due_s + max(EVERY_S, late_s + took_s))
        for due_s, late_s, took_s in wakes
        if late_s > LATE_S or took_s > SLOW_FACTOR * usual_s
    ]


class Spells:
    """Times in which at least one processor was slow.

    Args:
        spans: Begin and end of each, seconds on one clock; they may overlap and come in any order.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        merged: list[Span] = []
        for begins_s, ends_s in sorted(spans):
            if merged and begins_s <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], ends_s))
            else:
                merged.append((begins_s, ends_s))
        self._spans = merged
        self._begins_s = [begins_s for begins_s, _ in merged]
        # What a spell has held up is dealt with after it, in no more time than it lasted.
        over_s = (2 * ends_s - begins_s for begins_s, ends_s in merged)
        self._over_s = list(accumulate(over_s, max))

    def touch(self, begins_s: float, ends_s: float) -> bool:
        """Return whether the machine was slow, or dealt with what that had held up, at any moment between two."""
        place = bisect_right(self._begins_s, ends_s) - 1
        return place >= 0 and self._over_s[place] >= begins_s

    def meet(self, sent_s: float, arrived_s: float) -> bool:
        """Return whether the machine was slow when a packet was sent or let go: around both ends of its way.

        What lies between does it no harm, and to look there would leave out more of the slow packets than of the fast.

        Args:
            sent_s: When it was sent.
            arrived_s: When it arrived.
        """
        return self.touch(sent_s, sent_s + AROUND_S) or self.touch(arrived_s - AROUND_S, arrived_s)

    def within(self, begins_s: float, ends_s: float) -> list[float]:
        """Return how long each of them lasted, as far as it lies between two moments; seconds."""
        clipped = ((max(begins_s, begun_s), min(ends_s, ended_s)) for begun_s, ended_s in self._spans)
        return [ended_s - begun_s for begun_s, ended_s in clipped if ended_s > begun_s]
