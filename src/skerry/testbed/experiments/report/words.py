"""Estimates as people read them."""

from __future__ import annotations

from skerry.pages.words import Unit, say
from skerry.testbed.experiments.estimates import Interval


def say_interval(interval: Interval, unit: Unit) -> str:
    """Return an estimate with its bounds."""
    return _bounded(say(interval.estimate, unit), say(interval.low, unit), say(interval.high, unit))


def say_difference(interval: Interval, unit: Unit) -> str:
    """Return a difference with its bounds; every number has its sign, shares are in points."""
    parts = (interval.estimate, interval.low, interval.high)
    first, low, high = (_signed(value, unit) for value in parts)
    return _bounded(first, low, high)


def say_ratio(interval: Interval) -> str:
    """Return a ratio of two medians with its bounds."""
    digits = 2 if interval.estimate >= 0.1 else 3
    return _bounded(f"{interval.estimate:.{digits}f}", f"{interval.low:.{digits}f}", f"{interval.high:.{digits}f}")


def _bounded(estimate: str, low: str, high: str) -> str:
    return estimate if estimate == low == high else f"{estimate} ({low} to {high})"


def _signed(value: float, unit: Unit) -> str:
    sign = "-" if value < 0 else "+"
    if unit == "ratio":
        return f"{sign}{abs(value) * 100:.1f} points"
    return f"{sign}{say(abs(value), unit)}"
