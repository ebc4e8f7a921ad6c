"""``skerry doctor``: what this machine or a cluster has, and what is missing; what an app weighs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.checks import Check, examine
from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_target, json_option
from skerry.cli.project import read_project
from skerry.errors import ConfigError
from skerry.spec import PlatformLimits, PlatformTable, parse_duration, parse_size

if TYPE_CHECKING:
    from skerry.app.clusters import ClusterPlace
    from skerry.cli.package_size import PackageSize

DEFAULT_LIMIT = "250MB"
MOST_LINES = 12  # the rest is small, and in --json


@click.command(
    cls=Command,
    example="skerry doctor\nskerry doctor --size app.py --limit 250MB\n"
    "skerry doctor --size app.py --memory 512MB --time 15s --json\n"
    "skerry doctor --platform knative --registry registry.example.com",
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--size", is_flag=True, help="Say what an app weighs with its libraries; TARGET as for deploy.")
@click.option("--limit", metavar="SIZE", help=f"With --size: the largest package, {DEFAULT_LIMIT} by default.")
@click.option("--memory", metavar="SIZE", help="With --size: the most memory that a function may declare.")
@click.option("--time", metavar="DURATION", help="With --size: the longest timeout that it may declare.")
@click.option("--registry", metavar="HOST[:PORT][/PATH]", help="Where images are pushed, to be looked at from here.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address whose port is looked at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to look at.")
@destination_options
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    target: str | None,
    size: bool,
    host: str,
    port: int,
    registry: str | None,
    destination: Destination,
    **limits: Any,
) -> None:
    """Look for what is missing here, or on a cluster with --platform, or, with --size, at what an app weighs.

    Exit code 1 means that something fails or that the app is above a limit; warnings name what will not work.
    """
    console = ctx.ensure_object(Console)
    place = destination.place()
    if place is None and destination.site is not None:
        raise ConfigError(f"site {destination.site!r} is an engine", hint=f"run: skerry sites check {destination.site}")
    if place is None and registry is not None:
        raise ConfigError("--registry is about a cluster; add --platform knative or --platform kubernetes")
    if size:
        fits = _report_size(console, target, _platform(**limits), destination.home)
    elif target or any(limits.values()):
        raise ConfigError("TARGET, --limit, --memory and --time are about the size of an app; add --size")
    elif place is not None:
        fits = _report_checks(console, _examine_cluster(place, registry))
    else:
        fits = _report_checks(console, examine(destination.home, host, port))
    if not fits:
        ctx.exit(1)


def _examine_cluster(place: ClusterPlace, registry: str | None) -> list[Check]:
    """Look at a cluster, and at the registry that was named here or in ``skerry.toml``."""
    from skerry.platforms.kubernetes.doctor.doctor import examine_cluster

    named = read_project(Path.cwd()).get("platform", {}).get(place.platform, PlatformTable()).settings.registry
    found = examine_cluster(
        place.platform,
        kubeconfig=place.kubeconfig,
        context=place.context,
        namespace=place.namespace,
        registry=registry or named,
    )
    return [Check(one.name, one.state, one.finding, one.advice) for one in found]


def _report_checks(console: Console, checks: list[Check]) -> bool:
    if console.as_json:
        console.json([check.to_json() for check in checks])
    else:
        for check in checks:
            console.data(_line(check))
    return not any(check.state == "fail" for check in checks)


def _line(check: Check) -> str:
    advice = f"; {check.advice}" if check.advice else ""
    return f"{check.state:<5} {check.name}: {check.finding}{advice}"


def _platform(*, limit: str | None, memory: str | None, time: str | None) -> PlatformLimits:
    return PlatformLimits(
        max_package_bytes=parse_size(limit or DEFAULT_LIMIT, key="--limit"),
        max_memory_bytes=None if memory is None else parse_size(memory, key="--memory"),
        max_time_s=None if time is None else parse_duration(time, key="--time"),
    )


def _report_size(console: Console, target: str | None, limits: PlatformLimits, home: Path) -> bool:
    from skerry.cli.package_size import function_specs, measure
    from skerry.cli.project import find_target

    named = str(find_target(target))
    found = measure(named, home.absolute())
    refusals = limits.check_package(found.total_bytes)
    if limits.max_memory_bytes is not None or limits.max_time_s is not None:
        for spec in function_specs(named).values():
            refusals += limits.check(spec, None)
    if console.as_json:
        values = {"target": named, "total_bytes": found.total_bytes, "limit_bytes": limits.max_package_bytes}
        console.json({**values, **asdict(found), "refusals": refusals})
    else:
        _show_size(console, found, refusals)
    return not refusals


def _show_size(console: Console, found: PackageSize, refusals: list[str]) -> None:
    rows = [["the app's own files", "", _mb(found.source_bytes), ""]]
    rows += [[part.name, part.version, _mb(part.size_bytes), part.required_by] for part in found.parts[:MOST_LINES]]
    rest = found.parts[MOST_LINES:]
    if rest:
        rows.append([f"{len(rest)} more", "", _mb(sum(part.size_bytes for part in rest)), ""])
    console.table(["WHAT", "VERSION", "SIZE", "NEEDED BY"], [*rows, ["total", "", _mb(found.total_bytes), ""]])
    for saving in found.savings:
        console.data(f"leave out {saving.what}: {_mb(saving.saves_bytes)}; {saving.reason}")
    for name in found.missing:
        console.data(f"unknown {name}: required, and not installed here; deploy the app once, or install it")
    for refusal in refusals:
        console.data(f"fail  {refusal}")


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
