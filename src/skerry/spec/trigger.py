"""What starts a function besides calls: events that it takes, and timers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skerry.errors import SpecError
from skerry.spec.cron import Cron
from skerry.spec.filter import Filter
from skerry.spec.option import build, check_range, check_types
from skerry.spec.quantity import parse_duration
from skerry.spec.retry import Retry

LARGEST_BATCH = 1000
SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 0.1, 31 * 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """The events that a function takes, and how they are given to it.

    Args:
        filter: What an event must be; none takes every event.
        batch: Most events that one call of the handler gets as a list; 1 gives them singly, without a list.
        retry: What becomes of an event that the function fails on.

    Raises:
        SpecError: a value has a wrong type or is out of range.

    Example:
        ``Trigger(filter=Filter.exact(type="net.flow.window"), batch=100)``
    """

    filter: Filter | None = None
    batch: int = 1
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        check_types(self)
        check_range("batch", self.batch, low=1, high=LARGEST_BATCH)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`trigger_of` reads."""
        dialect = None if self.filter is None else _plain(self.filter.dialect)
        return {"filter": dialect, "batch": self.batch, "retry": self.retry.to_dict()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Timer:
    """When a function is started by the clock; one of ``every`` and ``cron``.

    Args:
        every: The period with its unit, 100 ms to 31 days; the moments are whole multiples of it since 1970, UTC.
        cron: Five fields, as crontab(5) has them.
        zone: Whose clock ``cron`` means.
        retry: What becomes of a start that the function fails on.

    Raises:
        SpecError: a value has a wrong type or is out of range.

    Example:
        ``Timer(cron="0 3 * * *", zone="Europe/Oslo")``
    """

    every: str | None = None
    cron: str | None = None
    zone: str = "UTC"
    retry: Retry = field(default_factory=Retry)

    def __post_init__(self) -> None:
        check_types(self)
        if (self.every is None) == (self.cron is None):
            raise SpecError("a timer takes every or cron, one of them", field="every")
        if self.every is not None:
            period_s = parse_duration(self.every, key="every")
            check_range("every (seconds)", period_s, low=SHORTEST_PERIOD_S, high=LONGEST_PERIOD_S)
        if self.cron is not None:
            Cron.parse(self.cron, zone=self.zone)

    def schedule(self) -> Callable[[float], float | None]:
        """Return the function from a Unix time to the first moment after it."""
        if self.cron is not None:
            return Cron.parse(self.cron, zone=self.zone).after
        period_us = round(parse_duration(self.every or "", key="every") * 1e6)

        def after(now_s: float) -> float:
            moment_us = (int(now_s * 1e6) // period_us + 1) * period_us
            while moment_us / 1e6 <= now_s:
                moment_us += period_us
            return moment_us / 1e6

        return after

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, in the form that :func:`timer_of` reads."""
        return {"every": self.every, "cron": self.cron, "zone": self.zone, "retry": self.retry.to_dict()}


def trigger_of(values: Mapping[str, Any], *, where: str) -> Trigger:
    """Return the trigger that plain values describe.

    Raises:
        SpecError: a key is unknown, or a value has a wrong type or is out of range.
    """
    given = _with_retry(values, where=where)
    if isinstance(given.get("filter"), Mapping):
        given["filter"] = Filter(given["filter"])
    return build(Trigger, given, where=where)


def timer_of(values: Mapping[str, Any], *, where: str) -> Timer:
    """Return the timer that plain values describe.

    Raises:
        SpecError: a key is unknown, or a value has a wrong type or is out of range.
    """
    return build(Timer, _with_retry(values, where=where), where=where)


def _with_retry(values: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    given = dict(values)
    if isinstance(given.get("retry"), Mapping):
        given["retry"] = build(Retry, given["retry"], where=f"{where}.retry")
    return given


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
