"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

ROUNDED_UP = 0.9995  # is 1 in three digits

Unit = Literal["s", "ratio", "bytes", "count", "nats"]


def say(value: float, unit: Unit) -> str:
    """Return a number with its unit, in three digits or so."""
    return _SAY[unit](value)


def _say_seconds(value: float) -> str:
    size = abs(value)
    if size >= 100:
        return f"{value:.0f} s"
    if size >= ROUNDED_UP:
        return f"{value:.3g} s"
    if size >= ROUNDED_UP * 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e3:.2f} ms"


def _say_bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(value) >= ROUNDED_UP * size:
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
