"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable

from skerry.testbed.experiments.estimates import Interval
from skerry.testbed.experiments.measures import Unit


def say(value: float, unit: Unit) -> str:
    """Return a number with its unit, in three digits or so."""
    return _SAY[unit](value)


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


def _say_seconds(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:.0f} s"
    if size >= 1:
        return f"{value:.3g} s"
    if size >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e3:.2f} ms"


def _say_bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"


def _say_count(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"


_SAY: dict[Unit, Callable[[float], str]] = {
    "s": _say_seconds,
    "ratio": lambda value: f"{value * 100:.1f} %",
    "bytes": _say_bytes,
    "count": _say_count,
    "nats": lambda value: f"{value:.3g}",
}
