"""The engines of a testbed: one per site, in its namespace, with its own folder, token and limits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from skerry.engine.home import SOCKET_PATH_LIMIT_BYTES, Home
from skerry.errors import ConfigError, SkerryError
from skerry.platforms.engine.process import EngineProcess, public_arguments, start_engine, stop_engine
from skerry.spec import Site
from skerry.testbed.topology.addressing import Plan
from skerry.testbed.topology.cleanup import MARK_VARIABLE
from skerry.testbed.topology.resources import Resources, confine_words
from skerry.testbed.topology.topology import Node, Topology

# On loopback of its own namespace, and for the others.
LOCAL_PORT = 8080
PUBLIC_PORT = 8443
STOP_TIMEOUT_S = 5.0
STARTERS = 4


def site_home(folder: Path, name: str) -> Path:
    """Return the folder of a site's engine in a testbed's folder."""
    return folder / "sites" / name


def check_depth(topology: Topology, folder: Path) -> None:
    """Refuse a work folder in which an engine could not have its socket, before anything is made.

    Raises:
        ConfigError: it is too deep.
    """
    for node in topology.sites:
        try:
            Home(site_home(folder, node.name))
        except ConfigError as error:
            raise ConfigError(
                f"the work folder {folder} is too deep: the socket of site {node.name!r} lies in it, and the kernel "
                f"allows {SOCKET_PATH_LIMIT_BYTES} bytes for its path; choose a shorter one with --folder"
            ) from error


def describe_site(node: Node, plan: Plan, folder: Path) -> Site:
    """Return a site as callers in the testbed reach it."""
    home = site_home(folder, node.name)
    return Site(
        name=node.name,
        address=f"https://{plan.addresses[node.name]}:{PUBLIC_PORT}",
        tier=node.tier,
        labels=node.labels,
        token_file=home / "token",
        certificate=home / "certificate.pem",
    )


def start_sites(
    topology: Topology, plan: Plan, folder: Path, resources: Mapping[str, Resources], mark: str
) -> dict[str, EngineProcess]:
    """Start the engine of every site and wait until all are ready.

    Raises:
        SkerryError: one did not start; those that did are left for the testbed's removal.
    """

    def start(node: Node) -> EngineProcess:
        home = site_home(folder, node.name)
        shutil.rmtree(home, ignore_errors=True)
        return start_engine(
            home,
            port=LOCAL_PORT,
            public=public_arguments(f"{plan.addresses[node.name]}:{PUBLIC_PORT}"),
            prefix=confine_words(plan.namespaces[node.name], resources[node.name], [f"{MARK_VARIABLE}={mark}"]),
        )

    with ThreadPoolExecutor(STARTERS) as starters:
        return dict(zip([node.name for node in topology.sites], starters.map(start, topology.sites), strict=True))


def stop_sites(topology: Topology, folder: Path, engines: Mapping[str, EngineProcess]) -> None:
    """Stop every engine in order, as far as it lets itself be stopped."""

    def stop(node: Node) -> None:
        with suppress(SkerryError):
            if node.name in engines:
                engines[node.name].stop(timeout_s=STOP_TIMEOUT_S)
            else:
                stop_engine(site_home(folder, node.name), timeout_s=STOP_TIMEOUT_S)

    with ThreadPoolExecutor(STARTERS) as stoppers:
        list(stoppers.map(stop, topology.sites))


def sites_table(sites: Mapping[str, Site]) -> str:
    """Return the sites as the tables of a ``skerry.toml``."""
    blocks = []
    for site in sites.values():
        lines = [f"[sites.{site.name}]", f'address = "{site.address}"', f'tier = "{site.tier}"']
        if site.labels:
            pairs = ", ".join(f"{_quoted(key)} = {_quoted(value)}" for key, value in site.labels.items())
            lines.append(f"labels = {{ {pairs} }}")
        lines += [f"token_file = {_quoted(str(site.token_file))}", f"certificate = {_quoted(str(site.certificate))}"]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
