"""Where a command goes: this machine's engine, a site, or a namespace of a cluster; and the options that say so."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skerry.cli.options import connect, home_option, site_option
from skerry.cli.project import read_project

if TYPE_CHECKING:
    from skerry.app.clusters import ClusterPlace
    from skerry.platforms import Platform
    from skerry.platforms.engine.client import EnginePlatform
    from skerry.platforms.kubernetes.operating import OperatedPlatform

F = TypeVar("F", bound=Callable[..., Any])

ENGINE = "engine"
PLATFORMS = (ENGINE, "knative", "kubernetes")
FOR_CLUSTERS = ("namespace", "context", "kubeconfig", "ingress")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What a person said about where a command goes.

    Args:
        home: Folder of the engine of this machine.
        site: Name of a site; none where none was named.
        platform: ``engine``, ``knative`` or ``kubernetes``; none where none was named.
        cluster: What was said of a cluster: ``namespace``, ``context``, ``kubeconfig``, ``ingress``.
    """

    home: Path
    site: str | None
    platform: str | None
    cluster: dict[str, Any]

    def place(self, *, folder: Path | None = None) -> ClusterPlace | None:
        """Return the namespace of a cluster that is meant; none where an engine is.

        Args:
            folder: Whose ``skerry.toml`` says which context and namespace, where no option does; the current one by
                default.

        Raises:
            ConfigError: no such site is named.
            click.UsageError: what was said does not go together.
        """
        given = {key: value for key, value in self.cluster.items() if value is not None}
        options = " and ".join(f"--{key}" for key in given)
        if self.site is not None:
            if self.platform is not None or given:
                also = "--platform" if self.platform is not None else options
                raise click.UsageError(f"--site and {also} do not go together: skerry.toml says what the site is")
            return self._place_of_site(self.site)
        if self.platform in (None, ENGINE):
            if given:
                raise click.UsageError(f"{options} is about a cluster: add --platform knative or --platform kubernetes")
            return None
        from skerry.app.clusters import ClusterPlace, with_project

        ingress = given.pop("ingress", None)
        place = ClusterPlace(platform=self.platform, address=ingress, **given)  # type: ignore[arg-type]  # one of PLATFORMS
        return with_project(place, read_project(Path.cwd() if folder is None else folder))

    def cluster_platform(self, *, patience_s: float = 5.0) -> OperatedPlatform | None:
        """Return the platform of the cluster that is meant; none where an engine is."""
        place = self.place()
        if place is None:
            return None
        from skerry.app.clusters import open_cluster

        return open_cluster(place, patience_s=patience_s)

    def caller(self, *, patience_s: float = 5.0) -> Platform:
        """Return what calls functions there: of a site with a ``domain``, without asking the cluster."""
        place = self.place()
        if place is None:
            return self.engine(patience_s=patience_s)
        from skerry.app.clusters import cluster_site, open_cluster

        if place.site is not None and place.site.domain is not None:
            return cluster_site(place.site, patience_s=patience_s)
        return open_cluster(place, patience_s=patience_s)

    def engine(self, *, patience_s: float = 5.0) -> EnginePlatform:
        """Return the client of the engine that is meant."""
        return connect(self.home, site=self.site, patience_s=patience_s)

    @staticmethod
    def _place_of_site(name: str) -> ClusterPlace | None:
        from skerry.app.places import find_site

        site = find_site(name, folders=[Path.cwd()])
        if not site.is_cluster:
            return None
        from skerry.app.clusters import ClusterPlace

        return ClusterPlace.of_site(site)


OPTIONS = (
    click.option("--platform", type=click.Choice(PLATFORMS), help="Where functions run.  [default: engine]"),
    click.option("--namespace", metavar="NAME", help="Namespace; that of skerry.toml or the context by default."),
    click.option("--context", metavar="NAME", help="Context; that of skerry.toml or the current one by default."),
    click.option(
        "--kubeconfig",
        type=click.Path(path_type=Path, dir_okay=False),
        help="How to reach the cluster.  [default: $KUBECONFIG or ~/.kube/config]",
    ),
    click.option("--ingress", metavar="URL", help="Address of the cluster's ingress; found by default."),
    site_option,
    home_option,
)


def destination_options(command: F) -> F:
    """Give a command the options that say where it goes, as one parameter ``destination``."""

    @functools.wraps(command)
    def collected(*args: Any, home: Path, site: str | None, platform: str | None, **given: Any) -> Any:
        cluster = {key: given.pop(key) for key in FOR_CLUSTERS}
        return command(
            *args, destination=Destination(home=home, site=site, platform=platform, cluster=cluster), **given
        )

    wrapped: Any = collected
    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click makes of a function stays callable like it
