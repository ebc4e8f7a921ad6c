"""Whether a site answers as it should, whatever it is."""

from __future__ import annotations

import time

from skerry.app.clusters import ClusterPlace, cluster_site, open_cluster
from skerry.errors import SiteUnreachableError, SkerryError
from skerry.platforms.engine.site_check import ROUND_TRIPS, SiteCheck
from skerry.platforms.engine.site_check import check_site as check_engine
from skerry.spec import Site


def check_site(site: Site) -> SiteCheck:
    """Ask a site what it is, several times, and measure how long that takes."""
    if not site.is_cluster:
        return check_engine(site)
    try:
        version, rtt_s = _ask_ingress(site) if site.domain is not None else _ask_cluster(site)
    except SkerryError as error:
        return SiteCheck(site=site.name, address=site.address, problem=error.message)
    return SiteCheck(site=site.name, address=site.address, version=version, rtt_s=rtt_s)


def _ask_cluster(site: Site) -> tuple[str, float]:
    """Return the version of Kubernetes and the shortest round trip to its API server, seconds."""
    platform = open_cluster(ClusterPlace.of_site(site), patience_s=0)
    try:
        found: dict[str, object] = {}
        measured = []
        for _ in range(ROUND_TRIPS + 1):  # the first one opens the connection, which is no part of a round trip
            began_s = time.monotonic()
            found = platform.cluster.connection.request("GET", "/version", doing="asking for the cluster's version")
            measured.append(time.monotonic() - began_s)
    finally:
        platform.close()
    return f"Kubernetes {found.get('gitVersion', '')}", min(measured[1:])


def _ask_ingress(site: Site) -> tuple[None, float]:
    """Return the time that the ingress of a site takes to answer anything, seconds."""
    platform = cluster_site(site)
    began_s = time.monotonic()
    if not getattr(platform, "ready", lambda: False)():
        raise SiteUnreachableError(f"site {site.name!r}: nothing answers at {site.address}")
    return None, time.monotonic() - began_s
