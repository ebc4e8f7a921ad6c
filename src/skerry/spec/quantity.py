"""Durations and sizes as people write them: ``"60s"``, ``"200MiB"``."""

from __future__ import annotations

import re

from skerry.errors import SpecError

_NUMBER_AND_UNIT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")
_SECONDS_PER_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_PER_UNIT = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
}


def parse_duration(value: str, *, key: str) -> float:
    """Return a duration such as ``"90s"``, ``"1.5m"`` or ``"250ms"`` in seconds.

    Args:
        value: A number with one of the units ``us ms s m min h d``; ``"0"`` needs no unit.
        key: The option's name, for the message.

    Raises:
        SpecError: there is no unit, or an unknown one.
    """
    return _parse(value, key=key, units=_SECONDS_PER_UNIT, example='"60s"')


def parse_size(value: str, *, key: str) -> int:
    """Return a size such as ``"200MiB"`` or ``"1.5GB"`` in bytes; Kubernetes' ``Ki Mi Gi`` are read too.

    Args:
        value: A number with a unit.
        key: The option's name, for the message.

    Raises:
        SpecError: there is no unit, or an unknown one.
    """
    return int(_parse(value, key=key, units=_BYTES_PER_UNIT, example='"200MiB"', fold=True))


def _parse(
    value: str, *, key: str, units: dict[str, float] | dict[str, int], example: str, fold: bool = False
) -> float:
    if not isinstance(value, str):
        raise SpecError(f"{key} = {value!r}: write it with its unit, like {example}", field=key)
    if value.strip() == "0":
        return 0.0
    match = _NUMBER_AND_UNIT.fullmatch(value)
    unit = (match[2].lower() if fold else match[2]) if match else ""
    if match is None or unit not in units:
        known = ", ".join(units)
        raise SpecError(f"{key} = {value!r}: write a number and a unit ({known}), like {example}", field=key)
    return float(match[1]) * units[unit]
