"""``skerry usage``: what functions have used, and what of it is billed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_function, connect, home_option, json_option, site_option
from skerry.cli.units import duration
from skerry.spec.quantity import parse_duration

KEY = ("function", "revision")
SUMS = ("requests", "errors", "billed_us", "memory_gb_s", "cold_starts", "cold_start_us", "idle_us")
COLUMNS = ["FUNCTION", "REVISION", "REQUESTS", "ERRORS", "BILLED", "GB-SECONDS", "COLD STARTS", "TOOK", "IDLE"]


@click.command(cls=Command, example="skerry usage\nskerry usage digits --since 24h\nskerry usage --since 7d --json")
@click.argument("function", required=False, shell_complete=complete_function)
@click.option("--since", metavar="DURATION", help="Only the hours that this time reaches back to, such as 24h or 7d.")
@site_option
@home_option
@json_option
@click.pass_obj
def usage(console: Console, function: str | None, since: str | None, site: str | None, home: Path) -> None:
    """Show what functions have used: the time that handlers ran is billed, and nothing else.

    Starts of workers and the time that they wait for requests are shown, and cost nothing. With --json, every hour is a
    record of its own.
    """
    since_s = None if since is None else time.time() - parse_duration(since, key="--since")
    found = connect(home, site=site).usage(function=function, since_s=since_s)
    if console.as_json:
        console.json(found)
        return
    if not found:
        console.message("nothing was used" + ("" if function is None else f" by {function}"))
        return
    console.table(COLUMNS, [_row(total) for total in _totals(found)])


def _totals(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the sums over all hours, one for each revision, by name."""
    totals: dict[tuple[str, ...], dict[str, Any]] = {}
    for record in records:
        key = tuple(str(record[name]) for name in KEY)
        total = totals.setdefault(key, {**dict(zip(KEY, key, strict=True)), **dict.fromkeys(SUMS, 0)})
        for name in SUMS:
            total[name] += record[name]
    return [total for _, total in sorted(totals.items())]


def _row(total: Mapping[str, Any]) -> list[str]:
    return [
        total["function"],
        total["revision"],
        str(total["requests"]),
        str(total["errors"]),
        f"{total['billed_us'] / 1e6:.6f} s",
        f"{total['memory_gb_s']:.6g}",
        str(total["cold_starts"]),
        duration(total["cold_start_us"] / 1e6),
        duration(total["idle_us"] / 1e6),
    ]
