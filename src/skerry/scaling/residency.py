"""Which functions may stay in memory when another one wants in.

The least recently used idle ones are put out, as many as it takes and no more. One that has requests is never put out,
nor one whose ``min`` keeps a worker. Where putting out every idle one would not be enough, none is put out: that would
help nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Resident:
    """A function that has workers.

    Args:
        function: Its name.
        size_bytes: What its workers hold, measured, at least 0.
        busy: Whether it has requests, or a worker that starts.
        idle_since_s: When it answered its last request, a reading of a monotonic clock; of an idle one.
        pinned: Whether its ``min`` keeps a worker.
        leaving: Whether its workers are on their way out already, so that its memory comes back by itself.
    """

    function: str
    size_bytes: int
    busy: bool = False
    idle_since_s: float = 0.0
    pinned: bool = False
    leaving: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """A function that wants its first worker.

    Args:
        function: Its name.
        size_bytes: What it is expected to hold, at least 0; 0 where nothing is known.
    """

    function: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Residency:
    """What is decided.

    Args:
        evict: Functions whose workers are to be ended, the least recently used first.
        wait_for: Functions that hold what is needed and cannot be put out now.
        refuse: Why it can never be let in; none when it can.
    """

    evict: tuple[str, ...] = ()
    wait_for: tuple[str, ...] = ()
    refuse: str | None = None

    @property
    def admitted(self) -> bool:
        """Whether the function fits as things are."""
        return not self.evict and not self.wait_for and self.refuse is None


def decide(wanted: Wanted, loaded: Iterable[Resident], budget_bytes: int) -> Residency:
    """Return whether a function may have its first worker, and who must go before.

    Args:
        wanted: The function that has none.
        loaded: All others that have workers.
        budget_bytes: What the workers of all functions may hold together.

    Example:
        >>> idle = [Resident(function=name, size_bytes=40, idle_since_s=at) for name, at in (("a", 2.0), ("b", 1.0))]
        >>> decide(Wanted(function="c", size_bytes=50), idle, 100).evict
        ('b',)
    """
    others = [one for one in loaded if one.function != wanted.function]
    pinned = [one for one in others if one.pinned and not one.leaving]
    free_ever_bytes = max(0, budget_bytes - sum(one.size_bytes for one in pinned))
    if wanted.size_bytes > free_ever_bytes:
        return Residency(refuse=_never(wanted, pinned, [one for one in others if one.busy], budget_bytes))
    lacking_bytes = wanted.size_bytes - (budget_bytes - sum(one.size_bytes for one in others))
    if lacking_bytes <= 0:
        return Residency()
    leaving = [one for one in others if one.leaving]
    lacking_bytes -= sum(one.size_bytes for one in leaving)
    idle = [one for one in others if not (one.busy or one.pinned or one.leaving)]
    if lacking_bytes > sum(one.size_bytes for one in idle):
        return Residency(wait_for=tuple(one.function for one in others if one.leaving or (one.busy and not one.pinned)))
    evict = []
    for one in sorted(idle, key=lambda one: (one.idle_since_s, one.function)):
        if lacking_bytes <= 0:
            break
        evict.append(one.function)
        lacking_bytes -= one.size_bytes
    return Residency(evict=tuple(evict), wait_for=tuple(one.function for one in leaving))


def describe_need(wanted: Wanted, busy: Iterable[tuple[str, int]], budget_bytes: int) -> str:
    """Return the figures for people: what is needed, what there is, and who holds it."""
    held = ", ".join(f"{function} {_mb(size_bytes)}" for function, size_bytes in busy)
    return (
        f"function {wanted.function!r} needs {_mb(wanted.size_bytes)} of memory; "
        f"the budget of all functions is {_mb(budget_bytes)}, and in use by others: {held or 'nothing'}"
    )


def _never(wanted: Wanted, pinned: list[Resident], busy: list[Resident], budget_bytes: int) -> str:
    held = {one.function: one.size_bytes for one in (*pinned, *busy)}
    kept = f" (of which {_mb(sum(one.size_bytes for one in pinned))} are kept by scale.min)" if pinned else ""
    return describe_need(wanted, held.items(), budget_bytes) + kept


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB"
