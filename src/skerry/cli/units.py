"""Quantities as people read them."""

from __future__ import annotations

import time


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits its size, like ``1.5 ms``."""
    if seconds >= 60:
        return f"{seconds / 60:.3g} min" if seconds < 3600 else f"{seconds / 3600:.3g} h"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


def moment(unix_s: float | None) -> str:
    """Return a time of the local clock, or ``-`` where there is none."""
    return "-" if unix_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def count(number: float, one: str, many: str | None = None) -> str:
    """Return a number with its noun, like ``1 worker`` and ``2.5 workers``."""
    noun = one if number == 1 else many or f"{one}s"
    return f"{number:.3g} {noun}"
