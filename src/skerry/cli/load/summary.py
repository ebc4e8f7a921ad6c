"""The result of a run as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skerry.cli.units import duration

if TYPE_CHECKING:
    from skerry.testbed.load import LoadResult, Times

_COLUMNS = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")


def summarise(result: LoadResult) -> str:
    """Return what a person wants to know of a run."""
    settings = ", ".join(f"{name} {value}" for name, value in result.settings.items() if value is not None)
    lines = [
        f"{result.target}: {_title_of(result)} ({settings})",
        _requests(result),
        _rates(result),
        "",
        f"{'':16}" + "".join(f"{column:>10}" for column in _COLUMNS),
        _row("latency", result.latency),
        _row("service time", result.service_time),
    ]
    if result.loop == "open":
        lines.append(_row("sent late by", result.lateness))
    if result.error_latency.count:
        lines.append(_row("failed after", result.error_latency))
    lines += ["", *_errors(result)]
    return "\n".join(lines)


def _title_of(result: LoadResult) -> str:
    """Return how a run asked, like ``open loop, poisson``."""
    return "closed loop" if result.loop == "closed" else f"{result.loop} loop, {result.plan}"


def _requests(result: LoadResult) -> str:
    planned = "" if result.planned is None else f"{result.planned:,} planned, "
    warm_up = ""
    if result.warm_up_s:
        warm_up = f"; {result.warm_up_requests:,} of a warm-up of {result.warm_up_s:g} s are not counted"
    stopped = "; stopped before its end" if result.interrupted else ""
    return f"{planned}{result.sent:,} sent, {result.succeeded:,} answered well{warm_up}{stopped}"


def _rates(result: LoadResult) -> str:
    asked = "" if result.asked_per_s is None else f"asked {result.asked_per_s:,.1f}/s, "
    return (
        f"{asked}sent {result.sent_per_s:,.1f}/s, answered {result.achieved_per_s:,.1f}/s; at most "
        f"{result.most_in_flight:,} in flight, {result.connections_opened:,} connections opened"
    )


def _row(name: str, times: Times) -> str:
    values = (times.p50_s, times.p90_s, times.p95_s, times.p99_s, times.p999_s, times.max_s, times.mean_s)
    return f"{name:16}" + "".join(f"{'-' if value is None else duration(value):>10}" for value in values)


def _errors(result: LoadResult) -> list[str]:
    errors = result.errors
    if not errors.count:
        return ["no errors"]
    lines = [f"{errors.count:,} errors"]
    lines += [f"  {kind:24} {count:,}" for kind, count in errors.by_kind.items()]
    for code, count in errors.by_code.items():
        lines.append(f"  code {code:19} {count:,}   {errors.messages.get(code, '')}".rstrip())
    return lines
