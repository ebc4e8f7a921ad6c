"""Times of syslog messages."""

from __future__ import annotations

import datetime as dt

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# The length of `Mmm dd hh:mm:ss`.
OLD_LENGTH = 15


def read_time(text: str) -> int | None:
    """Return a time of RFC 5424 (that of RFC 3339) as Unix time in milliseconds; None for what is none.

    Example:
        >>> read_time("2003-10-11T22:14:15.003Z")
        1065910455003
    """
    if len(text) < 20 or text[10] not in "Tt ":
        return None
    try:
        # A leap second is told as the second before it.
        at = dt.datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if text[17:19] == "60" else text)
    except ValueError:
        return None
    return None if at.tzinfo is None else _unix_ms(at)


def read_old_time(text: str, *, near_ms: int, offset_s: int = 0) -> int | None:
    """Return a time of RFC 3164, like ``Oct  1 22:14:15``, as Unix time in milliseconds; None for what is none.

    It names no year and no time zone: the year is the one that brings it nearest to when the message came.

    Args:
        text: The time, 15 characters.
        near_ms: When the message came, Unix time.
        offset_s: What the sender's clock is ahead of UTC.

    Example:
        >>> read_old_time("Dec 31 23:59:59", near_ms=1_704_067_200_000)  # in the first moment of 2024
        1704067199000
    """
    if len(text) != OLD_LENGTH or text[:3] not in _MONTHS or text[3] != " " or text[6] != " ":
        return None
    try:
        month, day = _MONTHS.index(text[:3]) + 1, int(text[4:6])
        hour, minute, second = (int(part) for part in text[7:].split(":"))
    except ValueError:
        return None
    year = (dt.datetime(1970, 1, 1) + dt.timedelta(milliseconds=min(max(near_ms, 0), 1 << 46))).year
    found: list[int] = []
    for each in (year - 1, year, year + 1):
        try:
            at = dt.datetime(each, month, day, hour, minute, min(second, 59), tzinfo=dt.UTC)
        except ValueError:  # the 29th of February, or no time at all
            continue
        found.append(_unix_ms(at) - offset_s * 1000)
    return min(found, key=lambda at_ms: abs(at_ms - near_ms)) if found else None


def _unix_ms(at: dt.datetime) -> int:
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)
