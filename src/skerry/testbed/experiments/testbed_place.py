"""A topology as the place of an experiment: sites in namespaces of their own, links between them, faults on order."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.errors import ConfigError
from skerry.platforms.engine.client import EnginePlatform
from skerry.platforms.engine.process import EngineProcess, public_arguments, start_engine
from skerry.testbed.experiments.descriptions import describe_link, require_sites
from skerry.testbed.experiments.place import Place, SiteAddress, start_process
from skerry.testbed.links import QUICK, Conditions, DirectionName, SelfTest
from skerry.testbed.links.base import CUT
from skerry.testbed.topology import Testbed, Topology
from skerry.testbed.topology.sites import LOCAL_PORT, PUBLIC_PORT, site_home
from skerry.testbed.topology.state import STATE_FILE

SLOWER = ("delay_ms", "jitter_ms")


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
        self._killed: set[str] = set()
        self._timers: list[threading.Timer] = []
        self._orders: dict[str, Callable[..., Any]] = {
            "kill": self._kill,
            "cut": self._cut,
            "slow": self._slow,
            "restore": self._restore,
        }

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
        order = self._orders.get(what)
        if order is None:
            return super().disturb(what, how)
        try:
            return order(**how)
        except TypeError as error:
            raise ConfigError(f"{what}: {error}") from error

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
        for timer in self._timers:
            timer.cancel()
        try:
            for engine in self._restarted.values():
                engine.stop()
        finally:
            self._testbed.down()

    def _home(self, site: str) -> Path:
        if site not in self._names:
            raise ConfigError(f"there is no site {site!r}; there are {', '.join(self._names)}")
        return site_home(self._testbed.folder, site)

    def _deploy(self, site: str) -> None:
        platform = EnginePlatform.of_home(self._home(site), expected=True)
        try:
            platform.deploy(self._app)
        finally:
            platform.close()

    def _kill(self, site: str) -> None:
        """End a site without a word, as a power cut does."""
        self._home(site)
        (pid,) = (pid for name, pid in zip(self._names, self.roots(), strict=True) if name == site)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self._killed.add(site)

    def _cut(self, site: str, for_s: float) -> None:
        """Cut the link between the client and a site for so long; packets are lost, nobody is told."""
        self._change(site, lambda _: CUT)
        self._later(for_s, lambda: self._mend(site))

    def _slow(self, site: str, factor: float) -> None:
        """Make the link between the client and a site slower by a factor: its delay, its jitter, its rate."""
        self._change(site, lambda conditions: _slower(conditions, factor))

    def _restore(self) -> None:
        """Set every link to what it was, and start what was killed."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for site in self._names:
            self._mend(site)
        for site in sorted(self._killed):
            self._start(site)
        self._killed.clear()

    def _mend(self, site: str) -> None:
        self._change(site, lambda conditions: conditions.to_dict())

    def _change(self, site: str, changes: Callable[[Conditions], dict[str, Any]]) -> None:
        self._home(site)
        link = self._testbed.link(self._client, site)
        directions: tuple[tuple[DirectionName, Conditions], ...] = (
            ("forward", link.conditions.forward),
            ("backward", link.conditions.backward),
        )
        for name, conditions in directions:
            link.change(name, changes(conditions))

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

    def _later(self, delay_s: float, work: Callable[[], None]) -> None:
        timer = threading.Timer(delay_s, work)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def _slower(conditions: Conditions, factor: float) -> dict[str, Any]:
    plain = conditions.to_dict()
    changed = {name: plain[name] * factor for name in SLOWER if plain.get(name)}
    if plain.get("rate_mbps"):
        changed["rate_mbps"] = plain["rate_mbps"] / factor
    return changed
