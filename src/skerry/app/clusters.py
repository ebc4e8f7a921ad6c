"""The platforms of a cluster, as names and settings mean them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from skerry.errors import ConfigError
from skerry.spec import PlatformTable

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.calling.calling import CallingPlatform
    from skerry.platforms.kubernetes.operating import OperatedPlatform
    from skerry.spec import Site

ClusterPlatformName = Literal["knative", "kubernetes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """A namespace of a cluster, and how its functions are run.

    Args:
        platform: ``knative`` or ``kubernetes``.
        kubeconfig: File that says where the cluster is; none means ``$KUBECONFIG``, else ``~/.kube/config``.
        context: Which of its contexts; none means the current one.
        namespace: Where the functions are; none means the context's.
        address: Of the ingress, ``http://HOST:PORT``; none finds it.
        site: The site that this is; none where it is none.
    """

    platform: ClusterPlatformName
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    address: str | None = None
    site: Site | None = None

    @classmethod
    def of_site(cls, site: Site) -> ClusterPlace:
        """Return the place that a site is.

        Raises:
            ConfigError: the site is an engine.
        """
        if site.platform == "engine":
            raise ConfigError(f"site {site.name!r} is an engine, not a cluster")
        return cls(
            platform=site.platform,
            kubeconfig=site.kubeconfig,
            context=site.context,
            namespace=site.namespace,
            address=site.address or None,
            site=site,
        )


def with_project(place: ClusterPlace, project: Mapping[str, Any]) -> ClusterPlace:
    """Return a place with what a ``skerry.toml`` says of it where nothing nearer does: context and namespace.

    Args:
        place: As options say it.
        project: The checked content of the file; empty without one.
    """
    table: PlatformTable = project.get("platform", {}).get(place.platform, PlatformTable())
    return replace(
        place,
        context=place.context or table.settings.context,
        namespace=place.namespace or table.settings.namespace,
    )


def open_cluster(place: ClusterPlace, *, patience_s: float = 60.0) -> OperatedPlatform:
    """Return the platform of a namespace of a cluster; nothing is asked of the cluster yet.

    Args:
        place: Which.
        patience_s: Most seconds to wait, in total, before a request is not sent again.

    Raises:
        ConfigError: there is no such kubeconfig or context.
        SkerryError: the extra ``kubernetes`` is not installed.
    """
    from skerry.platforms.http.connection import Address
    from skerry.platforms.knative.platform import KnativePlatform
    from skerry.platforms.kubernetes.api.cluster import Cluster
    from skerry.platforms.kubernetes.operating import Entrance
    from skerry.platforms.kubernetes.platform import KubernetesPlatform

    entrance = Entrance(
        address=None if place.address is None else Address.parse(place.address),
        site=place.site,
        patience_s=patience_s,
    )
    cluster = Cluster(place.kubeconfig, place.context, place.namespace)
    platforms = {"knative": KnativePlatform, "kubernetes": KubernetesPlatform}
    return platforms[place.platform](cluster, entrance)


@lru_cache(maxsize=256)
def cluster_site(site: Site, *, patience_s: float = 60.0) -> CallingPlatform:
    """Return the platform of a site that is a cluster; the same for the same site, so that connections are kept."""
    if site.domain is None:
        return open_cluster(ClusterPlace.of_site(site), patience_s=patience_s)
    from skerry.platforms.kubernetes.calling.domain import DomainPlatform

    return DomainPlatform(site, patience_s=patience_s)
