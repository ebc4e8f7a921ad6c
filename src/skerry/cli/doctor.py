"""``skerry doctor``: what this machine or a cluster has, and what is missing; what an app weighs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.checks import Check, examine
from skerry.cli.console import Console
from skerry.cli.options import Command, complete_target, home_option, json_option
from skerry.cli.project import find_cluster_settings
from skerry.errors import ConfigError
from skerry.spec import PlatformLimits, parse_duration, parse_size

if TYPE_CHECKING:
    from skerry.cli.package_size import PackageSize

ENGINE = "engine"
PLATFORMS = (ENGINE, "knative", "kubernetes")
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
@click.option("--platform", type=click.Choice(PLATFORMS), default=ENGINE, show_default=True, help="What to look at.")
@click.option("--namespace", metavar="NAME", help="Namespace; that of skerry.toml or the context by default.")
@click.option("--context", metavar="NAME", help="Context; that of skerry.toml or the current one by default.")
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path, dir_okay=False),
    help="How to reach the cluster.  [default: $KUBECONFIG or ~/.kube/config]",
)
@click.option("--registry", metavar="HOST[:PORT]", help="Where images are pushed; that of skerry.toml by default.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address whose port is looked at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to look at.")
@home_option
@json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    target: str | None,
    size: bool,
    host: str,
    port: int,
    home: Path,
    **more: Any,
) -> None:
    """Look for what is missing here, or on a cluster with --platform, or, with --size, at what an app weighs.

    Exit code 1 means that something fails or that the app is above a limit; warnings name what will not work.
    """
    console = ctx.ensure_object(Console)
    limits = {key: more.pop(key) for key in ("limit", "memory", "time")}
    platform = more.pop("platform")
    if platform == ENGINE and any(more.values()):
        given = " and ".join(f"--{key}" for key, value in more.items() if value)
        raise ConfigError(f"{given} is about a cluster; add --platform knative or --platform kubernetes")
    if size:
        fits = _report_size(console, target, _platform(**limits), home)
    elif target or any(limits.values()):
        raise ConfigError("TARGET, --limit, --memory and --time are about the size of an app; add --size")
    elif platform != ENGINE:
        from skerry.platforms.kubernetes.doctor.doctor import examine_cluster

        settings = find_cluster_settings(platform)
        named = {key: getattr(settings, key) for key in ("namespace", "context", "registry")}
        found = examine_cluster(platform, **{key: value or named.get(key) for key, value in more.items()})
        fits = _report_checks(console, [Check(one.name, one.state, one.finding, one.advice) for one in found])
    else:
        fits = _report_checks(console, examine(home, host, port))
    if not fits:
        ctx.exit(1)


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
