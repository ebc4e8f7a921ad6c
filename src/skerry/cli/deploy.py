"""``skerry deploy``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from skerry.cli.cluster_deploy import (
    CLUSTER_ONLY,
    ClusterDeployment,
    cluster_deploy_options,
    deploy_on_cluster,
    is_given,
    refuse_moot,
)
from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_target, connect, json_option
from skerry.cli.project import find_target
from skerry.cli.units import size
from skerry.errors import EngineNotRunningError
from skerry.platforms.home import home_words
from skerry.spec import SET_VARIABLE

if TYPE_CHECKING:
    from skerry.app.target import Target


@click.command(
    cls=Command,
    example="skerry deploy app.py\nskerry deploy app.py --set train.memory=1GiB\nskerry deploy app.py --site edge-1\n"
    "skerry deploy app.py --platform knative --namespace edge --registry registry.example.com/me\n"
    "skerry deploy app.py --platform knative --dry-run",
)
@click.argument("target", required=False, shell_complete=complete_target)
@click.option("--set", "settings", multiple=True, metavar="F.O=V", help="Set option O of function F to V; repeatable.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of an engine that is started.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Its port; 0 for any.")
@cluster_deploy_options
@destination_options
@json_option
@click.pass_obj
def deploy(
    console: Console,
    target: str | None,
    settings: tuple[str, ...],
    host: str,
    port: int,
    asked: ClusterDeployment,
    destination: Destination,
) -> None:
    """Deploy an app, starting an engine if none runs; or on a cluster.

    TARGET is FILE[:APP] or package.module[:APP]; without it, the one that skerry.toml names. With --site, the source is
    sent there, once for the same content. On a cluster, an image is built and pushed first.
    """
    from skerry.app.import_hints import explaining

    found = find_target(target)
    place = destination.place(folder=found.project)
    with explaining(found):
        if place is not None:
            refuse_moot("host", "port", because="a cluster listens where its ingress does")
            deploy_on_cluster(console, found, settings, asked, place)
            return
        refuse_moot(*CLUSTER_ONLY, because="they are about a cluster: add --platform knative or --platform kubernetes")
        if destination.site is not None:
            _deploy_at(console, found, settings, site=destination.site, home=destination.home)
            return
        deploy_target(console, str(found), settings, home=destination.home, host=host, port=port)


def deploy_target(console: Console, target: str, settings: Sequence[str], *, home: Path, host: str, port: int) -> None:
    """Deploy an app and say what was deployed, starting an engine if none runs.

    Args:
        console: Where to say it.
        target: ``/abs/file.py:app`` or ``package.module:app``, as `Target` writes it.
        settings: ``FUNCTION.OPTION=VALUE`` settings.
        home: Folder of the engine.
        host: Address of an engine that is started.
        port: Its port.
    """
    start_if_needed(console, home, host, port)
    copied = _copied(target, home)
    deployed = connect(home).deploy(target, flags=settings, environment=os.environ.get(SET_VARIABLE, ""))
    _say(console, {**deployed, "copied": copied}, place="")


def _deploy_at(console: Console, target: Target, settings: Sequence[str], *, site: str, home: Path) -> None:
    """Deploy an app on a site and say what was deployed and sent."""
    from skerry.app.shipping import ship

    refuse_moot("host", "port", because="a site's engine runs already")
    platform = connect(home, site=site)
    deployed = ship(platform, target, flags=settings, environment=os.environ.get(SET_VARIABLE, ""))
    bundle = deployed.get("bundle")
    if bundle is not None:
        sent = f"{bundle['size_bytes'] / 1024:.1f} KiB"
        console.message(f"sent {sent} to {site}" if bundle["sent"] else f"{site} has this source already")
    _say(console, deployed, place=f" at {site}")


def _copied(target: str, home: Path) -> dict[str, int]:
    """Return how much an engine of this machine copies of an app's source."""
    from skerry.engine.home import Home
    from skerry.engine.sources.source import copied_files

    entries = copied_files(target, Home(home).sources)
    return {"files": len(entries), "size_bytes": sum(entry.size_bytes for entry in entries)}


def _say(console: Console, deployed: Mapping[str, Any], *, place: str) -> None:
    if console.as_json:
        console.json(deployed)
        return
    state = "deployed" if deployed["changed"] else "unchanged:"
    console.message(f"{state} app {deployed['app']}{place}")
    copied = deployed.get("copied", {})
    if copied.get("files", 0) > 1:
        console.message(f"copied {copied['files']} files, {size(copied['size_bytes'])}")
    rows = [[str(f["name"]), str(f["revision"]), str(f["address"])] for f in deployed["functions"]]
    console.table(["NAME", "REVISION", "ADDRESS"], rows)


def start_if_needed(console: Console, home: Path, host: str, port: int) -> None:
    """Start an engine in the background unless one runs on a folder already, and say so."""
    try:
        running = connect(home, patience_s=0).engine()
    except EngineNotRunningError:
        from skerry.cli.engine import start_background

        started = start_background(home, host, port)
        stop = f"skerry engine stop{home_words(home)}"
        console.message(f"started an engine at {started.address} (process {started.pid}); {stop} ends it")
        return
    place = urlsplit(running["address"])
    asked = {"host": host != place.hostname, "port": port != place.port}
    moot = [f"--{name}" for name, differs in asked.items() if is_given(name) and differs]
    if moot:
        console.message(
            f"an engine runs at {running['address']} already, so {' and '.join(moot)} changed nothing; "
            f"skerry engine stop{home_words(home)} ends it"
        )
