"""``skerry load``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.durations import Duration
from skerry.cli.invoke import STDIN, read_data
from skerry.cli.load.summary import summarise
from skerry.cli.load.viewer import Viewer
from skerry.cli.models.traffic import RATIO_HELP, read_ratio
from skerry.cli.options import Command, complete_function, connect, home_option, json_option, site_option
from skerry.errors import ConfigError, FunctionNotFoundError

if TYPE_CHECKING:
    from skerry.testbed.load import LoadResult, Plan, Target

FAILED, INTERRUPTED = 1, 130
_DURATION_S = 10.0


@click.command(
    cls=Command,
    example='skerry load add --rate 500 --duration 30 --data \'{"a": 1, "b": 2}\'\n'
    'skerry load add --rate 500 --arrivals bursty --picture add.png --data \'{"a": 1, "b": 2}\'\n'
    'skerry load add --rate 500 --max-errors 1% --data \'{"a": 1, "b": 2}\'\n'
    'skerry load http://127.0.0.1:8080/function/add --clients 16 --data \'{"a": 1, "b": 2}\' --json\n'
    'skerry load add --site edge-1 --rate 20 --data \'{"a": 1, "b": 2}\'\n'
    "skerry load nap --replay azure2021_200.csv --speed 60 --data '{{duration}}'",
)
@click.argument("target", shell_complete=complete_function)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests per second; 100 by default.")
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "constant", "bursty"]),
    help="How requests come: independently (the default), at equal distances, or in bursts.",
)
@click.option("--peak", type=float, default=5.0, show_default=True, help="Rate in a burst, in multiples of --rate.")
@click.option(
    "--burst", type=Duration(min=0, min_open=True), default="1s", show_default=True, help="Mean length of a burst."
)
@click.option("--clients", type=click.IntRange(min=1), help="A closed loop of so many clients instead.")
@click.option("--think", type=Duration(min=0), default=0.0, help="Pause of each client.")
@click.option("--replay", type=click.Path(path_type=Path, dir_okay=False), help="Send at the times of a trace.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1.0, help="How much faster to replay it.")
@click.option("--column", help="The trace's column of times; found by its name when not given.")
@click.option("--function", help="Only lines of the trace whose func, function or app begins with this.")
@click.option("--duration", type=Duration(min=0, min_open=True), help="How long; 10 s, or the whole trace.")
@click.option("--warm-up", type=Duration(min=0), default=0.0, help="Time before, left out of the figures.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed sends at the same times.")
@click.option(
    "--data",
    default="",
    help="The body: JSON, @FILE, or - for standard input; with --replay, {{NAME}} is a column of the trace.",
)
@click.option("--content-type", default="application/json", show_default=True, help="What the body is.")
@click.option("--method", default="POST", show_default=True, help="GET, POST, PUT, PATCH or DELETE.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A further header; may be repeated.")
@click.option(
    "--timeout",
    type=Duration(min=0, min_open=True),
    default="30s",
    show_default=True,
    help="Longest wait for an answer.",
)
@click.option("--deadline", type=Duration(min=0, min_open=True), help="The deadline that the function is told of.")
@click.option("--connections", type=click.IntRange(min=1), help="Connections opened before; 8, or one per client.")
@click.option("--most-connections", type=click.IntRange(min=1), default=10_000, show_default=True, help="At a time.")
@click.option(
    "--max-errors", metavar="SHARE", help=f"Exit with 1 when more of the requests fail, {RATIO_HELP}; all by default."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificate that an https address has to show, or its authorities.  [default: those of the system]",
)
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw the run into this PNG file.")
@site_option
@home_option
@json_option
@click.pass_obj
def load(console: Console, /, *, target: str, home: Path, picture: Path | None, **given: Any) -> None:
    """Send requests to a function or URL at planned times, and report latencies from these times.

    Requests go out when the plan says so, whatever became of those before: a TARGET that stalls is not spared, and the
    waiting is counted. --clients asks the other way: each client waits for its answer, which hides waiting, and finds
    out how much a TARGET can do. TARGET is the name of a function of the local engine or of a --site, or an http(s)
    address.

    Exit code 1 when not one request succeeded, or more have failed than --max-errors allows.
    """
    from skerry.testbed.load import run_load

    _check_together(given)
    most_errors = None if given["max_errors"] is None else read_ratio(given["max_errors"], "--max-errors")
    _check_place(target, given)
    if picture is not None:
        from skerry.testbed.load.picture import check_picture

        check_picture(picture)
    plan, warm_up_s = _plan(given), float(given["warm_up"])
    asked = _target(target, home, given)
    with Viewer(target, plan.duration_s, shown=not console.as_json and sys.stderr.isatty()) as viewer:
        result = run_load(
            plan,
            asked,
            warm_up_s=warm_up_s,
            connections=given["connections"] or given["clients"] or 8,
            most_connections=given["most_connections"],
            on_progress=viewer.show if viewer.shown else None,
        )
    if picture is not None:
        from skerry.testbed.load.picture import draw

        draw(result, picture)
    if console.as_json:
        console.json(result.to_json())
    else:
        console.data(summarise(result))
    for warning in result.warnings:
        console.message(f"warning: {warning}")
    if result.interrupted:
        raise SystemExit(INTERRUPTED)
    if failure := _failure(result, most_errors):
        console.message(f"failed: {failure}")
        raise click.exceptions.Exit(FAILED)


def _failure(result: LoadResult, most_errors: float | None) -> str | None:
    """Return why a run counts as failed, if it does."""
    if not result.succeeded:
        return "not one request succeeded"
    ratio = result.errors.count / (result.errors.count + result.succeeded)
    if most_errors is not None and ratio > most_errors:
        return f"{ratio:.3g} of the requests failed, more than --max-errors {most_errors:g}"
    return None


def _check_together(given: dict[str, Any]) -> None:
    kinds = {"--rate or --arrivals": given["rate"] or given["arrivals"], "--clients": given["clients"]}
    kinds["--replay"] = given["replay"]
    chosen = [name for name, value in kinds.items() if value]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} are different ways of asking; give one")
    for name in ("column", "function"):
        if given[name] and not given["replay"]:
            raise click.UsageError(f"--{name} is about a trace; name it with --replay FILE")
    if given["think"] and not given["clients"]:
        raise click.UsageError("--think is the pause of clients; say how many with --clients N")


def _check_place(target: str, given: dict[str, Any]) -> None:
    is_address = target.startswith(("http://", "https://"))
    if given["site"] is not None and is_address:
        raise click.UsageError("--site names where a function is; give the function's name, or an address without it")
    if given["certificate"] is not None and not target.startswith("https://"):
        raise click.UsageError("--certificate is about an https address; a site has its own in skerry.toml")


def _plan(given: dict[str, Any]) -> Plan:
    from skerry.testbed.load import ClientPlan, bursty, constant, poisson, replay

    warm_up_s = given["warm_up"]
    duration_s = warm_up_s + (given["duration"] or _DURATION_S)
    if given["replay"] is not None:
        cut_s = warm_up_s + given["duration"] if given["duration"] else None
        body = None if given["data"].startswith("@") or given["data"] in STDIN else given["data"]
        trace = {name: given[name] for name in ("speed", "column", "function")}
        return replay(given["replay"], duration_s=cut_s, body=body, **trace)
    if given["clients"] is not None:
        return ClientPlan(clients=given["clients"], duration_s=duration_s, think_s=given["think"])
    rate = given["rate"] or 100.0
    if given["arrivals"] == "constant":
        return constant(rate, duration_s)
    if given["arrivals"] == "bursty":
        return bursty(rate, duration_s, seed=given["seed"], peak_ratio=given["peak"], burst_s=given["burst"])
    return poisson(rate, duration_s, seed=given["seed"])


def _target(target: str, home: Path, given: dict[str, Any]) -> Target:
    from skerry.testbed.load import Target

    settings: dict[str, Any] = {
        "method": given["method"].upper(),
        "headers": {"content-type": given["content_type"], **_headers(given["headers"])},
        "body": read_data(given["data"]).body,
        "timeout_s": given["timeout"],
        "deadline_s": given["deadline"],
    }
    if target.startswith(("http://", "https://")):
        return Target.of_url(target, certificate=given["certificate"], **settings)
    site: str | None = given["site"]
    known = [str(function["name"]) for function in connect(home, site=site).functions()]
    if target not in known:
        where, to = ("", "") if site is None else (f" at site {site!r}", f" --site {site}")
        raise FunctionNotFoundError(
            f"no function {target!r} is deployed{where}; there are {', '.join(sorted(known)) or 'none'}",
            hint=f"deploy it with `skerry deploy FILE{to}`, or give an address like http://HOST:PORT/PATH",
        )
    if site is not None:
        from skerry.app.places import find_site

        return Target.of_site(target, find_site(site, folders=[Path.cwd()]), **settings)
    return Target.of_function(target, home.absolute(), **settings)


def _headers(lines: Sequence[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ConfigError(f"--header {line!r}: write it as NAME:VALUE")
        found[name.strip().lower()] = value.strip()
    return found
