"""Where a run's clients are deployed: the engine on this machine, other engines, clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.app.target import Target
from skerry.cli.console import Console
from skerry.cli.options import connect
from skerry.errors import ConfigError, SkerryError

if TYPE_CHECKING:
    from skerry.spec import Site

MOST_AT_ONCE = 16  # sites that are sent the app
ENGINE_PORT = 0  # any free one: nobody has to know it


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChoice:
    """Which image the sites that are clusters run.

    Args:
        reference: One that is there already; none builds one and pushes it.
        insecure: Whether the registry may be spoken to in plain HTTP.
    """

    reference: str | None = None
    insecure: bool = False


def deploy_clients(
    console: Console, target: Target, sites: Sequence[str], image: ImageChoice, *, server: str | None, needed: int
) -> None:
    """Deploy a client's app at sites, and at the server's.

    A site that is down does not keep the others from beginning, where these are enough.

    Args:
        console: Told of each, and of those that are down.
        target: The app.
        sites: Names of the clients' sites.
        image: For those that are clusters.
        server: The server's site, which has to be there; it gets the app once where it is a client's too.
        needed: How many of the clients' sites are enough.

    Raises:
        ConfigError: it is no client, or a site takes no app.
        SkerryError: too few sites are there.
    """
    from skerry.app.places import find_site
    from skerry.app.shipping import make_bundle

    names = dict.fromkeys([*sites, *([] if server is None else [server])])
    found = [find_site(name, folders=[Path.cwd()]) for name in names]
    engines = [site for site in found if not site.is_cluster]

    # Packed once, before the threads: reading syntax trees in several at once fails in Python 3.11.
    bundle = make_bundle(target) if engines and target.project is not None else None
    with ThreadPoolExecutor(max(1, min(MOST_AT_ONCE, len(engines))), thread_name_prefix="skerry-deploy") as threads:
        errors = list(threads.map(lambda site: _deploy_at(console, target, site, bundle), engines))
    lost = {site.name: error for site, error in zip(engines, errors, strict=True) if error is not None}
    for name, error in lost.items():
        if name == server or len(sites) - len(lost.keys() & set(sites)) < needed:
            raise error
    for name, error in lost.items():
        console.message(
            f"{error.message}; the run begins without it, for {needed} of {len(sites)} sites are enough\n"
            f"when it is back, deploy there: skerry deploy {target.source} --site {name}; before that it takes no "
            "part, or with what was deployed there earlier"
        )
    clusters = [site for site in found if site.is_cluster]
    if clusters and image.reference is None:
        made = _deploy_on_cluster(console, target, clusters.pop(0), image)
        image = replace(image, reference=made["image"])  # built once, for all
    with ThreadPoolExecutor(max(1, len(clusters)), thread_name_prefix="skerry-deploy") as threads:
        list(threads.map(lambda site: _deploy_on_cluster(console, target, site, image), clusters))


def _deploy_at(console: Console, target: Target, site: Site, bundle: tuple[str, bytes] | None) -> SkerryError | None:
    """Deploy at the engine of a site; return the error where it does not answer."""
    from skerry.app.shipping import ship
    from skerry.learn.federated.coordinator.contact import UNANSWERED

    try:
        deployed = ship(connect(Path(), site=site.name), target, bundle=bundle)
    except UNANSWERED as error:
        return error
    _require_client(deployed)
    console.message(f"deployed at {site.name}")
    return None


def deploy_here(console: Console, target: Target, home: Path) -> None:
    """Deploy a client's app on the engine of this machine, which is started if it does not run."""
    from skerry.cli.deploy import start_if_needed

    start_if_needed(console, home, "127.0.0.1", ENGINE_PORT)
    _require_client(connect(home).deploy(str(target), flags=(), environment=""))


def _deploy_on_cluster(console: Console, target: Target, site: Site, image: ImageChoice) -> dict[str, Any]:
    from skerry.app.clusters import ClusterPlace, open_cluster
    from skerry.app.deploying import DeployPlan, deploy_app

    place = ClusterPlace.of_site(site)
    plan = DeployPlan(target=target, place=place, image=image.reference, insecure=image.insecure, tell=console.message)
    platform = open_cluster(place)
    try:
        deployed = deploy_app(plan, platform)
    finally:
        platform.close()
    _require_client(deployed)
    console.message(f"deployed at {site.name}")
    return deployed


def _require_client(deployed: Mapping[str, Any]) -> None:
    """Refuse an app that nobody can train with, before another app's functions are taken for its own."""
    missing = sorted({"start", "fit"} - {function["name"] for function in deployed["functions"]})
    if missing:
        raise ConfigError(
            f"app {deployed['app']!r} is no federated client: it has no function {' and no '.join(missing)}",
            hint="make it one: client = federated.Client(app, data=..., start=...), then @client.fit",
        )
