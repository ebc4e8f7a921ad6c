"""A topology as the place of an experiment: sites in namespaces of their own, links between them, faults on order."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.engine.process import EngineProcess, public_arguments, start_engine
from skerry.testbed.experiments.descriptions import describe_link, require_sites
from skerry.testbed.experiments.disturbances import Disturbances
from skerry.testbed.experiments.place import Place, SiteAddress, start_process
from skerry.testbed.links import QUICK, SelfTest
from skerry.testbed.topology import Testbed, Topology
from skerry.testbed.topology.sites import LOCAL_PORT, PUBLIC_PORT, site_home
from skerry.testbed.topology.state import STATE_FILE


class TestbedPlace(Place):
    """A topology that is up for as long as the block runs. Needs root.

    Args:
        topology: The topology; its first client is where the client is.
        folder: Work folder of the testbed; one that a killed run has left there is removed first.
        names: The sites that the experiment uses.
        app: What is deployed to each, as ``package.module:app``.
        self_test: How thoroughly each link is measured before anything runs over it; None leaves it out.

    Raises:
        ConfigError: the topology has no site of one of the names.
    """

    __test__ = False  # a name that begins like one of pytest's

    def __init__(
        self, topology: Topology, folder: Path, names: Sequence[str], app: str, *, self_test: SelfTest | None = QUICK
    ) -> None:
        require_sites(topology, names)
        self.name = topology.name
        self._topology = topology
        self._names = tuple(names)
        self._app = app
        self._client = topology.clients[0].name
        self._testbed = Testbed(topology, folder, self_test=self_test)
        self._restarted: dict[str, EngineProcess] = {}
        self._disturbances = Disturbances(
            names, link=lambda site: self._testbed.link(self._client, site), pid=self._pid, start=self._start
        )

    @property
    def sites(self) -> Mapping[str, SiteAddress]:
        """The sites by name."""
        found = self._testbed.sites
        return {
            name: SiteAddress(
                name=name,
                address=found[name].address,
                token_file=str(found[name].token_file),
                certificate=str(found[name].certificate),
            )
            for name in self._names
        }

    def start_client(self, argv: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
        """Start a process in the client's namespace."""
        return start_process(self._testbed.command(self._client, argv), log=log)

    def roots(self) -> list[int]:
        """Return the engines."""
        nodes = self._testbed.describe()["nodes"]
        return [
            self._restarted[name].pid if name in self._restarted else int(nodes[name]["pid"]) for name in self._names
        ]

    def wire_bytes(self) -> int:
        """Return the bytes that all links have carried so far, in both directions."""
        reports = [link.report() for link in self._testbed.links.values()]
        return sum(report.forward.bytes + report.backward.bytes for report in reports)

    def describe(self) -> dict[str, Any]:
        """Return the means, the conditions of every link with what its self-test measured, and the cores of sites."""
        said = self._testbed.describe()
        return {
            "topology": self._topology.name,
            "description": self._topology.description,
            "means": said["means"],
            "other_means": [
                f"{means['name']}: {means['refusal']}" for means in said["other_means"] if means["refusal"]
            ],
            "congestion_control": said["congestion_control"],
            "links": {link["name"]: describe_link(link) for link in said["links"]},
            "sites": {
                name: {"cores": said["nodes"][name]["cores_by"], "memory": said["nodes"][name]["memory_by"]}
                for name in self._names
            },
        }

    def disturb(self, what: str, how: Mapping[str, Any]) -> Any:
        """Do something to a site or a link: ``kill``, ``cut``, ``slow``, or ``restore`` everything.

        Raises:
            ConfigError: there is no such order, site or link.
        """
        if not self._disturbances.knows(what):
            return super().disturb(what, how)
        return self._disturbances.carry_out(what, how)

    def __enter__(self) -> Self:
        # Whoever enters holds the run's folder alone: a testbed in it was left by a run that was killed.
        if (self._testbed.folder / STATE_FILE).exists():
            Testbed.attach(self._testbed.folder).down()
        self._testbed.up()
        try:
            for name in self._names:
                self._deploy(name)
        except BaseException:
            self._testbed.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disturbances.end()
        try:
            for engine in self._restarted.values():
                engine.stop()
        finally:
            self._testbed.down()

    def _home(self, site: str) -> Path:
        return site_home(self._testbed.folder, site)

    def _deploy(self, site: str) -> None:
        platform = EnginePlatform.of_home(self._home(site), expected=True)
        try:
            platform.deploy(self._app)
        finally:
            platform.close()

    def _pid(self, site: str) -> int:
        return self.roots()[self._names.index(site)]

    def _start(self, site: str) -> None:
        address = self._testbed.describe()["nodes"][site]["address"]
        if site in self._restarted:
            self._restarted.pop(site).stop(timeout_s=1)
        self._restarted[site] = start_engine(
            self._home(site),
            port=LOCAL_PORT,
            public=public_arguments(f"{address}:{PUBLIC_PORT}"),
            prefix=self._testbed.command(site, []),
        )
        self._deploy(site)
