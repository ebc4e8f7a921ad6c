"""``skerry models traffic`` and ``skerry models promote``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_function, connect, home_option, json_option
from skerry.cli.units import duration
from skerry.errors import ConfigError

RATIO_HELP = "as 10% or 0.1"
HEAD = ["VERSION", "SHARE", "TAKEN", "ANSWERS", "ERRORS", "REFUSED", "P50", "P95"]


@click.command(
    cls=Command,
    example="skerry models traffic digits\n"
    "skerry models traffic digits --candidate 4 --weight 10%\n"
    "skerry models traffic digits --candidate 4 --mirror --automatic --rule min_requests=200\n"
    "skerry models traffic digits --end",
)
@click.argument("name", shell_complete=complete_function)
@click.option("--candidate", metavar="VERSION|ALIAS", help="Try this version beside the one that serves.")
@click.option("--weight", metavar="SHARE", help=f"The candidate's share of the requests, {RATIO_HELP}.")
@click.option(
    "--mirror", is_flag=True, help="Send the candidate copies of the other requests, and compare the answers."
)
@click.option("--sample", metavar="SHARE", help=f"Share of the requests that is copied, {RATIO_HELP}; all by default.")
@click.option("--sticky", metavar="HEADER", help="Requests with the same value of this header get the same version.")
@click.option("--automatic", is_flag=True, help="Raise the share step by step, then promote; roll back what is bad.")
@click.option("--rule", "rules", multiple=True, metavar="KEY=VALUE", help="A rule of --automatic; may be repeated.")
@click.option("--end", is_flag=True, help="End the trial: the version that serves gets all requests.")
@home_option
@json_option
@click.pass_obj
def traffic(console: Console, /, name: str, home: Path, **asked: Any) -> None:
    """Show who gets a function's requests, or try a candidate on some of them.

    Rules of --automatic: steps (0.05,0.25,0.5,1), min_requests, step_duration, max_error_ratio, max_latency_ratio,
    min_agreement_ratio, max_duration.
    """
    engine = connect(home)
    plan = _plan(**asked)
    found = engine.traffic(name) if plan is None else engine.split_traffic(name, plan)
    if console.as_json:
        console.json(found)
        return
    _show(console, found)


@click.command(cls=Command, example="skerry models promote digits")
@click.argument("name", shell_complete=complete_function)
@home_option
@json_option
@click.pass_obj
def promote(console: Console, name: str, home: Path) -> None:
    """Have the version that is being tried serve a function from now on."""
    found = connect(home).promote(name)
    if console.as_json:
        console.json(found)
    else:
        console.message(f"{name}: version {found['promoted']} serves from now on")


def _plan(
    *,
    candidate: str | None,
    weight: str | None,
    mirror: bool,
    sample: str | None,
    sticky: str | None,
    automatic: bool,
    rules: tuple[str, ...],
    end: bool,
) -> dict[str, Any] | None:
    """Return what is to be asked of the engine; none where only looking is meant."""
    about_candidate = bool(weight or mirror or sample or sticky or automatic or rules)
    if end:
        if candidate or about_candidate:
            raise ConfigError("--end goes with no other option: it ends the trial")
        return {}
    if candidate is None:
        if about_candidate:
            raise ConfigError("which version is to be tried? add --candidate VERSION")
        return None
    if rules and not automatic:
        raise ConfigError("--rule is about --automatic: add that, or leave the rules out")
    plan: dict[str, Any] = {"candidate": candidate, "mirror": mirror}
    if weight is not None:
        plan["weight_ratio"] = read_ratio(weight, "--weight")
    if sample is not None:
        plan["sample_ratio"] = read_ratio(sample, "--sample")
    if sticky is not None:
        plan["sticky"] = sticky
    if automatic:
        plan["automatic"] = dict(map(_rule, rules))
    return plan


def read_ratio(text: str, option: str) -> float:
    """Return the share that an option gives, as ``10%`` or ``0.1``.

    Raises:
        ConfigError: it is none.
    """
    number = text.removesuffix("%")
    try:
        ratio = float(number) / (100 if number != text else 1)
    except ValueError as error:
        raise ConfigError(f"{option} {text}: write a share as 10% or 0.1") from error
    if not 0 <= ratio <= 1:
        raise ConfigError(f"{option} {text}: a share is from 0% to 100%, or from 0 to 1")
    return ratio


def _rule(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--rule {text}: write KEY=VALUE, such as min_requests=200")
    if key == "steps":
        return key, [read_ratio(share, "--rule steps") for share in value.split(",")]
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value  # a duration, such as 10m


def _show(console: Console, found: Mapping[str, Any]) -> None:
    if found["candidate"] is None:
        version = f"version {found['serving']}"
        console.message(f"{found['function']}: {version} gets all requests; to try another one: --candidate VERSION")
        return
    names = {"stable": f"{found['serving']} (serving)", "candidate": f"{found['candidate']} (candidate)"}
    console.table(HEAD, [_row(names[lane], found["lanes"][lane], found["statistics"][lane]) for lane in names])
    decision, comparison = found["decision"], found["comparison"]
    if found["automatic"] is not None:
        said = "nothing yet" if decision is None else f"{decision['action']}: {decision['reason']}"
        console.data(f"\nstep {found['step'] + 1} of {len(found['automatic']['steps'])}; decided: {said}")
    if comparison is None:
        return
    counts = ", ".join(f"{comparison[key]} {key}" for key in ("agrees", "differs", "failed", "uncompared", "dropped"))
    console.data(f"\nof {comparison['sent']} copies: {counts}")
    if comparison["differences"]:
        console.data("")
        shown = [[one["request_digest"], one["primary"], one["shadow"]] for one in comparison["differences"]]
        console.table(["REQUEST", "SERVING", "CANDIDATE"], [[_short(cell) for cell in row] for row in shown])


def _row(name: str, lane: Mapping[str, Any], statistics: Mapping[str, Any]) -> list[str]:
    p50_s, p95_s = statistics["p50_s"], statistics["p95_s"]
    return [
        name,
        f"{lane['weight_ratio']:.4g}",
        str(lane["taken"]),
        *(str(statistics[key]) for key in ("requests", "errors", "refusals")),
        "-" if p50_s is None else duration(p50_s),
        "-" if p95_s is None else duration(p95_s),
    ]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
