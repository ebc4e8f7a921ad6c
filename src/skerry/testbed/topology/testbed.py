"""A testbed: a topology that runs on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from skerry.errors import ConfigError, PlatformError, SkerryError
from skerry.platforms.engine.process import EngineProcess
from skerry.spec import Site
from skerry.testbed.links import QUICK, Link, SelfTest, choose_means, detect_means
from skerry.testbed.links.namespace import inside
from skerry.testbed.links.process_link import ProcessLink
from skerry.testbed.topology.addressing import make_plan
from skerry.testbed.topology.cleanup import MARK_VARIABLE, remove_all
from skerry.testbed.topology.network import build_network, make_links, measure_network
from skerry.testbed.topology.plain import topology_to_dict
from skerry.testbed.topology.reader import parse_topology
from skerry.testbed.topology.resources import Resources, confine_words, make_resources
from skerry.testbed.topology.sites import check_depth, describe_site, sites_table, start_sites, stop_sites
from skerry.testbed.topology.state import STATE_FILE, State, new_state, process_began, read_state, write_state
from skerry.testbed.topology.topology import Topology


class Testbed:
    """A topology on this machine: a namespace per node, links between them, an engine per site. Needs root.

    Args:
        topology: What it consists of.
        folder: Its work folder; all its files are there.
        means: ``netem`` or ``tun``; None takes the best that this machine has.
        self_test: How thoroughly each link is measured before `up` returns; None leaves it out.

    Example:
        ``with Testbed(read_topology("6g-edge"), Path("work")) as testbed: testbed.run("base-station", ["ping", …])``
    """

    __test__ = False  # a name that begins like one of pytest's

    def __init__(
        self,
        topology: Topology,
        folder: Path,
        *,
        means: str | None = None,
        self_test: SelfTest | None = QUICK,
    ) -> None:
        self.topology = topology
        self.folder = folder.absolute()
        self._wanted_means = means
        self._self_test = self_test
        self._state: State | None = None
        self._links: dict[str, ProcessLink] = {}
        self._engines: dict[str, EngineProcess] = {}

    @classmethod
    def attach(cls, folder: Path) -> Testbed:
        """Return the testbed that is in a folder, whoever has made it.

        Raises:
            ConfigError: there is none.
            PlatformError: its state is damaged.
        """
        state = read_state(folder)
        if state is None:
            raise ConfigError(f"there is no testbed in {folder}", hint="bring one up with `skerry testbed up FILE`")
        topology = parse_topology(state.topology, where=str(folder / STATE_FILE), folder=folder)
        testbed = cls(topology, folder)
        testbed._hold(state)
        return testbed

    def up(self) -> Self:
        """Make everything and wait until every engine is ready; on failure, nothing is left.

        Raises:
            ConfigError: a testbed is up in this folder, or the folder is too deep.
            PlatformError: the machine cannot, or a link is not what it was set to.
        """
        check_depth(self.topology, self.folder)
        earlier = read_state(self.folder)
        if earlier is not None:
            if not earlier.is_abandoned:
                raise ConfigError(
                    f"the testbed {earlier.topology.get('name')!r} is {earlier.phase} in {self.folder}",
                    hint="remove it with `skerry testbed down`, or choose another folder",
                )
            remove_all(earlier.mark)
        means = choose_means([found for found in detect_means() if found.name != "relay"], self._wanted_means)
        self._hold(new_state(topology_to_dict(self.topology), means))
        # Before anything is made: whatever happens from here on, `down` finds what to remove.
        self._store()
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """Remove everything but the work folder; does nothing when no testbed is up.

        Raises:
            PlatformError: something could not be removed.
        """
        state = self._state
        if state is None:
            return
        if state.phase == "up":
            state.phase = "stopping"
            self._store()
        stop_sites(self.topology, self.folder, self._engines)
        for link in self._links.values():
            try:
                link.down()
            except SkerryError:  # whatever its state is, what comes next removes it
                continue
        remove_all(state.mark)
        (self.folder / STATE_FILE).unlink(missing_ok=True)
        self._state, self._engines, self._links = None, {}, {}

    def release(self) -> None:
        """Let the testbed outlive this process; it is removed by :meth:`attach` and :meth:`down`."""
        for engine in self._engines.values():
            engine.release()
        for link in self._links.values():
            link.release()

    @property
    def sites(self) -> dict[str, Site]:
        """Every site by name: address, token, certificate, tier and labels."""
        plan = make_plan(self.topology, self._up.mark)
        return {node.name: describe_site(node, plan, self.folder) for node in self.topology.sites}

    @property
    def links(self) -> Mapping[str, Link]:
        """Every link by name, such as ``base-station--cloud``, to be changed and asked while it is up."""
        return self._links

    def link(self, first: str, second: str) -> Link:
        """Return the link between two nodes, named in any order.

        Raises:
            ConfigError: there is none.
        """
        for name in (f"{first}--{second}", f"{second}--{first}"):
            if name in self._links:
                return self._links[name]
        raise ConfigError(f"no link between {first!r} and {second!r}; there are {', '.join(self._links) or 'none'}")

    @contextmanager
    def enter(self, node: str) -> Iterator[None]:
        """Run a block with this thread inside a node: sockets that it opens are there, and threads that it starts.

        Raises:
            ConfigError: there is no such node.
        """
        with inside(self._namespace(node)):
            yield

    def command(self, node: str, words: Sequence[str]) -> list[str]:
        """Return the command line that runs another one inside a node, under its limits.

        Raises:
            ConfigError: there is no such node.
        """
        resources = Resources(**_plain_resources(self._up.nodes[node])) if node in self._up.nodes else Resources()
        return [*confine_words(self._namespace(node), resources, [f"{MARK_VARIABLE}={self._up.mark}"]), *words]

    def run(self, node: str, words: Sequence[str], **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command inside a node and wait for it.

        Args:
            node: Where.
            words: The command line.
            options: Those of :func:`subprocess.run`.
        """
        return subprocess.run(self.command(node, words), check=options.pop("check", True), **options)

    def describe(self) -> dict[str, Any]:
        """Return what the testbed is, as plain data for reports: means, self-tests, nodes, links with their counts."""
        state = self._up
        links = []
        for planned in self.topology.links:
            entry: dict[str, Any] = {"name": planned.name, "self_test": state.self_tests.get(planned.name)}
            try:
                entry["report"] = self._links[planned.name].report().to_dict()
            except PlatformError as error:
                entry["problem"] = error.message
            links.append(entry)
        return {
            "name": self.topology.name,
            "mark": state.mark,
            "phase": state.phase,
            "folder": str(self.folder),
            "created_at": state.created_at,
            "means": state.means,
            "other_means": [asdict(found) for found in detect_means() if found.name != state.means],
            "congestion_control": state.congestion_control,
            "nodes": {name: {**node, **_engine_state(node)} for name, node in state.nodes.items()},
            "links": links,
        }

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def _up(self) -> State:
        if self._state is None:
            raise ConfigError(f"the testbed {self.topology.name!r} is not up")
        return self._state

    def _namespace(self, node: str) -> str:
        if node not in self.topology.nodes:
            raise ConfigError(f"there is no node {node!r}; there are {', '.join(self.topology.nodes)}")
        return f"{self._up.mark}-{node}"

    def _hold(self, state: State) -> None:
        self._state = state
        plan = make_plan(self.topology, state.mark)
        self._links = make_links(self.topology, plan, self.folder / "links", means=state.means, mark=state.mark)

    def _store(self) -> None:
        write_state(self.folder, self._up)

    def _build(self) -> None:
        state = self._up
        plan = make_plan(self.topology, state.mark)
        state.congestion_control = build_network(self.topology, plan, self._links)
        for link in self._links.values():
            link.hold_schedule()
        resources = {}
        for index, (name, node) in enumerate(self.topology.nodes.items()):
            resources[name] = make_resources(node, state.mark, index)
            state.nodes[name] = {
                "role": node.role,
                "tier": node.tier,
                "labels": dict(node.labels),
                "namespace": plan.namespaces[name],
                "address": plan.addresses[name],
                **resources[name].to_dict(),
            }
        if self._self_test is not None:
            reports = measure_network(self.topology, plan, self._links, self._self_test)
            state.self_tests = {name: report.to_dict() for name, report in reports.items()}
        self._engines = start_sites(self.topology, plan, self.folder, resources, state.mark)
        for name, engine in self._engines.items():
            state.nodes[name] |= {"pid": engine.pid, "began": process_began(engine.pid)}
        (self.folder / "skerry.toml").write_text(sites_table(self.sites))
        # Second 0 of a schedule is the moment from which the testbed can be used.
        for link in self._links.values():
            link.restart_schedule()
        state.phase = "up"
        self._store()


def _plain_resources(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "groups": tuple(node["groups"]),
        "processors": tuple(node["processors"]),
        "cores_by": node["cores_by"],
        "memory_by": node["memory_by"],
    }


def default_folder() -> Path:
    """Return where a testbed is unless another folder is named: ``testbed`` in the current folder."""
    return Path(os.path.abspath("testbed"))


def _engine_state(node: Mapping[str, Any]) -> dict[str, str]:
    """Return whether the engine of a site runs still; nothing of a node that has none."""
    if "pid" not in node:
        return {}
    return {"engine": "running" if process_began(node["pid"]) == node.get("began") else "ended"}
