"""Checks of settings that are numbers."""

from __future__ import annotations

import math

from skerry.errors import SpecError


def check_real(owner: str, name: str, value: object, *, low: float, high: float, open_low: bool = False) -> None:
    """Refuse a setting that is not a real number in ``[low, high)``, or ``(low, high)``.

    Raises:
        SpecError: it is not; the message names the owner, the setting, the range and the value.
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if fits and isinstance(value, int | float) and low <= value < high and not (open_low and value == low):
        return
    begin = f"above {low:g}" if open_low else f"at least {low:g}"
    end = "" if math.isinf(high) else f" and below {high:g}"
    raise SpecError(f"{owner}: {name} must be a number, {begin}{end}; it is {value!r}")


def check_count(owner: str, name: str, value: object, *, low: int) -> None:
    """Refuse a setting that is not a whole number of at least ``low``.

    Raises:
        SpecError: it is not; the message names the owner, the setting, the range and the value.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise SpecError(f"{owner}: {name} must be a whole number of at least {low}; it is {value!r}")
