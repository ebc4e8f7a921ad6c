"""Quantities as people read them."""

from __future__ import annotations

import time


def duration(seconds: float) -> str:
    """Return a duration with the unit that suits its size, like ``1.5 ms``."""
    if seconds >= 60:
        return f"{_digits(seconds / 60)} min" if seconds < 3600 else f"{_digits(seconds / 3600)} h"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    if seconds >= 0.0009995:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs" if abs(seconds) >= 1e-9 else "0 µs"  # less is what is left of sums


def moment(unix_s: float | None) -> str:
    """Return a time of the local clock, or ``-`` where there is none."""
    return "-" if unix_s is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_s))


def count(number: float, one: str, many: str | None = None) -> str:
    """Return a number with its noun, like ``1 worker`` and ``2.5 workers``."""
    noun = one if number == 1 else many or f"{one}s"
    return f"{_digits(number)} {noun}"


def size(size_bytes: int) -> str:
    """Return a size with the unit that suits it, like ``1.5 MiB``."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    for power, unit in ((1, "KiB"), (2, "MiB"), (3, "GiB")):
        # From there on, three digits would be written as a power of ten.
        if size_bytes < 999.5 * 1024**power:
            return f"{size_bytes / 1024**power:.3g} {unit}"
    return f"{size_bytes / 1024**4:.3g} TiB"


def _digits(number: float) -> str:
    """Return a number with three digits, and one that has more before its point with all of these."""
    return f"{number:.3g}" if number < 999.5 else f"{number:.0f}"
