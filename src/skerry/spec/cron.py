"""Moments of a cron expression: five fields, as crontab(5) has them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from skerry.errors import SpecError

MONTHS: Final = {
    **{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6},
    **{"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12},
}
DAYS: Final = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
NO_NAMES: Final[Mapping[str, int]] = {}
FIELDS: Final = (
    ("minute", 0, 59, NO_NAMES),
    ("hour", 0, 23, NO_NAMES),
    ("day of the month", 1, 31, NO_NAMES),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)
FARTHEST_DAYS = 366 * 9  # 29 February comes again within eight years
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression; made by :meth:`parse`.

    Args:
        minutes: Those of an hour.
        hours: Those of a day.
        days: Of the month; none where any day will do.
        months: Those of a year.
        weekdays: Sunday is 0; none where any day will do.
        zone: Whose clock it is.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    zone: datetime.tzinfo

    @classmethod
    def parse(cls, text: str, *, zone: str = "UTC") -> Cron:
        """Return what an expression means.

        Args:
            text: Minute, hour, day of the month, month, day of the week; or ``@daily`` and the like.
            zone: Name of a time zone, such as ``Europe/Oslo``.

        Raises:
            SpecError: it is not of that form, no day fits it, or there is no such zone.
        """
        parts = NICKNAMES.get(text.strip().lower(), text).split()
        if len(parts) != len(FIELDS):
            raise SpecError(f"cron = {text!r}: write five fields, like '0 3 * * *' for three o'clock", field="cron")
        minutes, hours, days, months, weekdays = (
            _values(part, name, low, high, names, text=text)
            for part, (name, low, high, names) in zip(parts, FIELDS, strict=True)
        )
        try:
            tz = datetime.UTC if zone == "UTC" else _zone(zone)
        except (ValueError, OSError, KeyError) as error:  # an unknown zone is a KeyError
            raise SpecError(f"zone = {zone!r}: no such time zone; name one like Europe/Oslo", field="zone") from error
        found = cls(
            minutes=tuple(sorted(minutes)),
            hours=tuple(sorted(hours)),
            days=None if parts[2].startswith("*") and len(days) == 31 else frozenset(days),
            months=frozenset(months),
            weekdays=None if parts[4].startswith("*") and len(weekdays) >= 7 else frozenset(d % 7 for d in weekdays),
            zone=tz,
        )
        if found.after(0.0) is None:
            raise SpecError(f"cron = {text!r}: no day of any year fits it", field="cron")
        return found

    def after(self, now_s: float) -> float | None:
        """Return the first moment after another one, both Unix times; none when there is none within nine years.

        An hour that the clocks leave out has no moments; of one that comes twice, the first counts.
        """
        start = datetime.datetime.fromtimestamp(now_s, self.zone)
        day = start.date()
        for _ in range(FARTHEST_DAYS):
            if self._has(day):
                for moment_s in self._moments(day):
                    if moment_s > now_s:
                        return moment_s
            day += DAY
        return None

    def _has(self, day: datetime.date) -> bool:
        if day.month not in self.months:
            return False
        by_date = self.days is None or day.day in self.days
        by_weekday = self.weekdays is None or day.isoweekday() % 7 in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return by_date or by_weekday  # crontab(5): where both are restricted, either will do
        return by_date and by_weekday

    def _moments(self, day: datetime.date) -> Iterator[float]:
        for hour in self.hours:
            for minute in self.minutes:
                wall = datetime.datetime.combine(day, datetime.time(hour, minute), self.zone)
                back = datetime.datetime.fromtimestamp(wall.timestamp(), self.zone)
                if (back.hour, back.minute) == (hour, minute):  # else the clocks leave it out
                    yield wall.timestamp()


def _values(part: str, name: str, low: int, high: int, names: Mapping[str, int], *, text: str) -> set[int]:
    found: set[int] = set()
    for piece in part.lower().split(","):
        span, slash, step_text = piece.partition("/")
        step = _number(step_text, NO_NAMES) if slash else 0
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        else:
            first = _number(first_text, names)
            last = _number(last_text, names) if dash else (high if slash else first)
        if (slash and step < 1) or not low <= first <= last <= high:
            raise SpecError(
                f"cron = {text!r}: {name}: {piece!r} is not within {low} to {high}, nor * nor a range", field="cron"
            )
        found.update(range(first, last + 1, step or 1))
    return found


def _number(text: str, names: Mapping[str, int]) -> int:
    if text in names:
        return names[text]
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else -1


def _zone(name: str) -> datetime.tzinfo:
    from zoneinfo import ZoneInfo  # few functions start by the clock, and fewer by that of a zone

    return ZoneInfo(name)
