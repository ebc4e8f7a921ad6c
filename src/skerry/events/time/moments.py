"""Which window an event is in, when one is over, what is too late, and what goes together: pure decisions.

Moments are whole microseconds since 1970, UTC. A watermark is the moment before which nothing is expected any more.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
BEFORE_ALL = -(2**52)


def moment_us(time: datetime.datetime) -> int:
    """Return a time as a moment."""
    return (time - EPOCH) // MICROSECOND


def time_of(at_us: int) -> datetime.datetime:
    """Return a moment as a time."""
    return EPOCH + at_us * MICROSECOND


def raise_mark(mark_us: int, at_us: int, *, lateness_us: int, now_us: int) -> int:
    """Return the watermark once an event of a moment has come; it never falls.

    Args:
        mark_us: The watermark before.
        at_us: When the event happened.
        lateness_us: How much later than others an event may come.
        now_us: The time here: one clock that is ahead makes nothing late that is in time by this one.
    """
    return max(mark_us, min(at_us, now_us) - lateness_us)


def end_of(at_us: int, size_us: int) -> int:
    """Return the end of the window that a moment is in; it belongs to the next one."""
    return (at_us // size_us + 1) * size_us


def split_ends(ends: Iterable[int], mark_us: int) -> tuple[list[int], list[int]]:
    """Return which windows are over, and which are open, by their ends, in order."""
    ordered = sorted(ends)
    return [end for end in ordered if end <= mark_us], [end for end in ordered if end > mark_us]


def partners(at_us: int, waiting: Iterable[Sequence[Any]], within_us: int) -> list[Sequence[Any]]:
    """Return what goes together with an event of a moment, the earliest first.

    Args:
        at_us: When it happened.
        waiting: What has come of the other stream: each begins with its moment.
        within_us: How far apart they may be.
    """
    found = [one for one in waiting if abs(one[0] - at_us) <= within_us]
    return sorted(found, key=lambda one: one[0])


def still_waiting(waiting: Iterable[Sequence[Any]], mark_us: int, within_us: int) -> list[Sequence[Any]]:
    """Return what may still find a partner: the others are further from all that is expected than they may be."""
    return [one for one in waiting if one[0] + within_us >= mark_us]
