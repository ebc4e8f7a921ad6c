"""A topology without root: plain engines on this machine, and a relay on the way to each. Approximate."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from skerry.testbed.experiments.descriptions import describe_link, require_sites
from skerry.testbed.experiments.disturbances import Disturbances
from skerry.testbed.experiments.place import BY_RELAYS, OneMachine, SiteAddress
from skerry.testbed.links import (
    QUICK,
    LinkConditions,
    RelayLink,
    SelfTest,
    SelfTestReport,
    measure_relay,
    require_passed,
)
from skerry.testbed.topology import Topology
from skerry.testbed.topology.ways import way_conditions

ATTEMPTS = 3
HOST = "127.0.0.1"


class RelayPlace(OneMachine):
    """Plain engines, each behind a relay with the conditions of the way from the topology's first client to it.

    What a relay cannot do is left out and named: TCP does not see losses, and sites do not share the rate of a link.
    A link that is cut holds its bytes back until it is mended.
    Neither are there limits of cores and memory, nor schedules.

    Args:
        topology: Which network it stands for.
        folder: Where the relays keep their files.
        names: The sites that the experiment uses.
        app: What is deployed to each, as ``package.module:app``.
        self_test: How thoroughly each relay's conditions are measured first; None leaves it out.

    Raises:
        ConfigError: the topology has no site of one of the names.
    """

    def __init__(
        self, topology: Topology, folder: Path, names: Sequence[str], app: str, *, self_test: SelfTest | None = QUICK
    ) -> None:
        require_sites(topology, names)
        super().__init__(names, app)
        self.name = topology.name + BY_RELAYS
        self._topology = topology
        self._relay_folder = folder
        self._self_test = self_test
        client = topology.clients[0].name
        self._ways = {f"{client}--{name}": (name, way_conditions(topology, client, name)) for name in names}
        self._relays: dict[str, RelayLink] = {}
        self._reports: dict[str, SelfTestReport] = {}
        self._disturbances = Disturbances(
            names,
            link=lambda site: self._relays[f"{client}--{site}"],
            pid=lambda site: self._engines[site].pid,
            start=self._start_again,
        )

    @property
    def sites(self) -> Mapping[str, SiteAddress]:
        """The sites by name, at the near ends of their relays."""
        return {
            self._ways[way][0]: SiteAddress(name=self._ways[way][0], address=f"http://{HOST}:{relay.address[1]}")
            for way, relay in self._relays.items()
        }

    def wire_bytes(self) -> int:
        """Return the bytes that all relays have carried so far, in both directions."""
        reports = [relay.report() for relay in self._relays.values()]
        return sum(report.forward.bytes + report.backward.bytes for report in reports)

    def describe(self) -> dict[str, Any]:
        """Return the means, what it leaves out, and the conditions of every way with what was measured."""
        links = {}
        ignored: set[str] = set()
        for way, relay in self._relays.items():
            said = relay.report()
            ignored |= set(said.facts["ignores"])
            test = self._reports.get(way)
            links[way] = describe_link(
                {"report": said.to_dict(), "self_test": None if test is None else test.to_dict()}
            )
        return {
            "topology": self._topology.name,
            "description": self._topology.description,
            "means": RelayLink.means,
            "left_out": [*sorted(ignored), "schedules", "limits of cores and memory"],
            "links": links,
            "sites": {name: {} for name, _ in self._ways.values()},
        }

    def disturb(self, what: str, how: Mapping[str, Any]) -> Any:
        """Do something to a site or its relay: ``kill``, ``cut``, ``slow``, or ``restore`` everything.

        Raises:
            ConfigError: there is no such order or site.
        """
        if not self._disturbances.knows(what):
            return super().disturb(what, how)
        return self._disturbances.carry_out(what, how)

    def __enter__(self) -> Self:
        if self._self_test is not None:
            for way, (_, conditions) in self._ways.items():
                self._reports[way] = self._measure(way, conditions, self._self_test)
        super().__enter__()
        try:
            for way, (name, conditions) in self._ways.items():
                relay = self._relay(way, (HOST, self._port(name)), conditions)
                relay.up()
                self._relays[way] = relay
        except BaseException:
            self._stop()
            raise
        return self

    def _relay(self, way: str, target: tuple[str, int], conditions: LinkConditions) -> RelayLink:
        """Return a relay that, like the engines, does not outlive a run that is killed."""
        relay = RelayLink(target, conditions, self._relay_folder / way, seed=self._topology.seed)
        relay.leash()
        return relay

    def _measure(self, way: str, conditions: LinkConditions, plan: SelfTest) -> SelfTestReport:
        """Measure a relay of the same conditions before anything runs; a moment of load is somebody else's."""
        for attempt in range(1, ATTEMPTS + 1):
            with socket.create_server((HOST, 0)) as free:
                target = (HOST, free.getsockname()[1])
            with self._relay(way, target, conditions) as relay:
                report = measure_relay(relay, plan)
            if not report.passed and attempt == ATTEMPTS:
                require_passed(way, report)
            if report.passed:
                break
        return report

    def _port(self, name: str) -> int:
        return int(urlsplit(self._engines[name].address).port or 0)

    def _start_again(self, name: str) -> None:
        """Start an engine where its relay looks for the one that was killed."""
        port = self._port(name)
        self._engines[name].stop(timeout_s=1)
        self._start(name, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder)), port=port)

    def _stop(self) -> None:
        self._disturbances.end()
        try:
            while self._relays:
                self._relays.popitem()[1].down()
        finally:
            super()._stop()
