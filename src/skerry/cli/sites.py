"""``skerry sites``: the sites of a project, whether they answer, and the token that opens this machine's engine."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, Group, complete_site, home_option, json_option
from skerry.cli.units import duration, moment

if TYPE_CHECKING:
    from skerry.spec import Site

CHECKS_AT_A_TIME = 16


@click.group(cls=Group, example="skerry sites list\nskerry sites check")
def sites() -> None:
    """List the sites that skerry.toml names, check them, or show this engine's token."""


@sites.command("list", cls=Command, example="skerry sites list\nskerry sites list --json")
@json_option
@click.pass_obj
def list_sites(console: Console) -> None:
    """List the sites that skerry.toml names, in the current folder."""
    found = _project_sites()
    if console.as_json:
        console.json([_described(site) for site in found.values()])
        return
    rows = [[site.name, site.platform, site.tier, _labels(site), _address(site)] for site in found.values()]
    console.table(["NAME", "PLATFORM", "TIER", "LABELS", "ADDRESS"], rows)


@sites.command(cls=Command, example="skerry sites check\nskerry sites check edge-1 --json")
@click.argument("names", nargs=-1, shell_complete=complete_site)
@json_option
@click.pass_obj
def check(console: Console, names: tuple[str, ...]) -> int:
    """Ask sites whether they answer: version, round trip, certificate and clock; exit code 1 when one does not.

    Without NAMES, all that skerry.toml names. Of a cluster: the version of Kubernetes, and the round trip to its API.
    """
    from skerry.app.places import find_site
    from skerry.app.site_checks import check_site

    chosen = [find_site(name, folders=[Path.cwd()]) for name in names] or list(_project_sites().values())
    with ThreadPoolExecutor(CHECKS_AT_A_TIME) as pool:
        results = list(pool.map(check_site, chosen))
    if console.as_json:
        console.json([result.to_dict() for result in results])
    else:
        rows = []
        for result in results:
            ends = "" if result.certificate_ends_at is None else moment(result.certificate_ends_at)
            rows.append(
                [
                    result.site,
                    "ok" if result.problem is None else "failed",
                    result.version or "",
                    "" if result.rtt_s is None else duration(result.rtt_s),
                    ends,
                    "" if result.clock_offset_s is None else f"{result.clock_offset_s:+.3f} s",
                ]
            )
        console.table(["NAME", "STATE", "VERSION", "ROUND TRIP", "CERTIFICATE UNTIL", "CLOCK"], rows)
        for result in results:
            for text in filter(None, (result.problem, *result.warnings)):
                console.message(text)
    return 0 if all(result.problem is None for result in results) else 1


@sites.command(cls=Command, example="skerry sites token > edge-1.token")
@home_option
@json_option
@click.pass_obj
def token(console: Console, home: Path) -> None:
    """Print the token that opens this machine's engine to others; keep it as you keep a password."""
    from skerry.engine.home import Home

    folder = Home(home)
    found = folder.token()
    if console.as_json:
        console.json({"token": found, "file": str(folder.token_file)})
    else:
        console.data(found)


def _project_sites() -> Mapping[str, Site]:
    from skerry.app.places import known_sites
    from skerry.errors import ConfigError
    from skerry.spec import PROJECT_FILE

    found = known_sites(Path.cwd())
    if not found:
        raise ConfigError(
            f"there are no sites in {Path.cwd() / PROJECT_FILE}",
            hint='write [sites.NAME] with address = "https://HOST:PORT" into it',
        )
    return found


def _described(site: Site) -> dict[str, Any]:
    files = {"token_file": site.token_file, "certificate": site.certificate, "kubeconfig": site.kubeconfig}
    return {
        "name": site.name,
        "platform": site.platform,
        "tier": site.tier,
        "labels": dict(site.labels),
        "address": site.address,
        **{key: None if path is None else str(path) for key, path in files.items()},
        **{key: getattr(site, key) for key in ("context", "namespace", "domain")},
    }


def _address(site: Site) -> str:
    if site.address or not site.is_cluster:
        return site.address
    return f"namespace {site.namespace or '(of the context)'}, context {site.context or '(current)'}"


def _labels(site: Site) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(site.labels.items()))
