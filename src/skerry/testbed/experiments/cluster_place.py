"""Sites that are namespaces of real clusters: the network between them is there already, and is left alone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from skerry.errors import ConfigError
from skerry.testbed.experiments.place import Place, SiteAddress, start_process

if TYPE_CHECKING:
    from skerry.app.clusters import ClusterPlatformName
    from skerry.spec import Site
    from skerry.testbed.experiments.experiment import Experiment, OnClusters

APP_FILE = "app.py"
ROUND_TRIPS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChoice:
    """What a person said of the clusters.

    Args:
        platform: ``knative`` or ``kubernetes``.
        project: Folder whose ``skerry.toml`` names the sites, and says how images are made.
        image: One that is there already; none builds one and pushes it.
        insecure: Whether the registry may be spoken to in plain HTTP.
    """

    platform: ClusterPlatformName
    project: Path
    image: str | None = None
    insecure: bool = False


class ClustersPlace(Place):
    """The functions of an experiment on namespaces of clusters, as sites of the project name them.

    A site's labels choose the nodes that its functions run on. The functions stay there when the run has ended.

    Args:
        experiment: The experiment.
        folder: For the app that is deployed.
        choice: Which clusters.

    Raises:
        ConfigError: the experiment does not run on clusters, or a site that it needs is none.
    """

    def __init__(self, experiment: Experiment, folder: Path, choice: ClusterChoice) -> None:
        if experiment.clusters is None:
            raise ConfigError(
                f"experiment {experiment.name!r} does not run on clusters: it needs what only engines and the testbed "
                "can do, such as jobs, or links that change",
                hint="leave --platform out",
            )
        self.name = choice.platform
        self._app = experiment.app
        self._form: OnClusters = experiment.clusters
        self._folder = folder
        self._choice = choice
        self._sites = {name: self._find(name) for name in experiment.sites}
        self._round_trips_s: dict[str, float] = {}

    @property
    def sites(self) -> Mapping[str, SiteAddress]:
        """The sites by name."""
        project = str(self._choice.project)
        return {name: SiteAddress(name=name, address="", project=project) for name in self._sites}

    def start_client(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a process on this machine."""
        return start_process(argv, log=log)

    def roots(self) -> list[int]:
        """Return nothing: nobody counts the processor time of pods."""
        return []

    def describe(self) -> dict[str, Any]:
        """Return which clusters, and how long the way to a function and back takes."""
        return {
            "means": f"{self.name} on real clusters: their own network, which is measured and not emulated",
            "sites": {
                name: {
                    "namespace": site.namespace,
                    "context": site.context,
                    "nodes": dict(site.labels),
                    "round_trip_s": self._round_trips_s.get(name),
                }
                for name, site in self._sites.items()
            },
        }

    def __enter__(self) -> Self:
        from skerry.app.clusters import cluster_site

        source = self._write_app()
        image = self._choice.image
        waiting = list(self._namespaces())
        if image is None:
            image = self._deploy(waiting.pop(0), source, None)  # built once, for all
        with ThreadPoolExecutor(max(1, len(waiting)), thread_name_prefix="skerry-deploy") as threads:
            list(threads.map(lambda site: self._deploy(site, source, image), waiting))
        for name, site in self._sites.items():
            with closing(cluster_site(site)) as platform:
                self._round_trips_s[name] = platform.round_trip_s(self._form.function, tries=ROUND_TRIPS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the functions where they are: starting them anew takes longer than a quick run."""

    def _find(self, name: str) -> Site:
        from skerry.app.places import find_site

        site = find_site(name, folders=[self._choice.project])
        if site.platform != self._choice.platform:
            raise ConfigError(
                f"site {name!r} is of platform {site.platform!r}, and the experiment is to run on {self.name!r}",
                hint=f'write platform = "{self.name}" under [sites.{name}] in skerry.toml',
            )
        return site

    def _namespaces(self) -> Iterator[Site]:
        """Yield each namespace once: sites may share one."""
        seen = set()
        for site in self._sites.values():
            key = (site.kubeconfig, site.context, site.namespace)
            if key not in seen:
                seen.add(key)
                yield site

    def _write_app(self) -> Path:
        """Write a project whose app is the experiment's, with what the person's own says of the platform."""
        folder = self._folder / "clusters"
        folder.mkdir(parents=True, exist_ok=True)
        module, _, attribute = self._app.partition(":")
        source = folder / APP_FILE
        source.write_text(f"from {module} import {attribute} as app\n\n__all__ = ['app']\n", encoding="utf-8")
        requirements = ", ".join(f'"{each}"' for each in self._form.requirements)
        settings = f"[app]\nrequirements = [{requirements}]\n{_platform_tables(self._choice.project)}"
        (folder / "skerry.toml").write_text(settings, encoding="utf-8")
        return source

    def _deploy(self, site: Site, source: Path, image: str | None) -> str:
        """Deploy the app on a site, and return its image."""
        from skerry.app.clusters import ClusterPlace, open_cluster
        from skerry.app.deploying import DeployPlan, deploy_app
        from skerry.app.target import Target

        place = ClusterPlace.of_site(site)
        nodes = ", ".join(f'"{label}" = "{value}"' for label, value in sorted(site.labels.items()))
        functions = {flag.partition(".")[0] for flag in self._form.flags}
        placed = [f"{function}.node_labels={{{nodes}}}" for function in sorted(functions) if nodes]
        plan = DeployPlan(
            target=Target.parse(str(source)),
            place=place,
            image=image,
            insecure=self._choice.insecure,
            flags=(*self._form.flags, *placed),
        )
        with closing(open_cluster(place)) as platform:
            return str(deploy_app(plan, platform)["image"])


def _platform_tables(project: Path) -> str:
    """Return the tables of a project's ``skerry.toml`` that are about platforms, and nothing else of it."""
    file = project / "skerry.toml"
    kept, inside = [], False
    for line in file.read_text(encoding="utf-8").splitlines(keepends=True) if file.is_file() else ():
        if line.lstrip().startswith("["):
            inside = line.lstrip().startswith("[platform.")
        if inside:
            kept.append(line)
    return "".join(kept)
