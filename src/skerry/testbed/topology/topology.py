"""What a testbed consists of: nodes and the links between them, as they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from skerry.errors import SpecError
from skerry.spec.site import NAME, Tier
from skerry.testbed.links import DirectionName, LinkConditions, Schedule

Role = Literal["site", "client", "router"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One place: a site with an engine, a client without one, or a router that only passes packets on.

    Args:
        name: Lower-case letters, digits and -, a letter first, no - last, at most 63.
        role: ``site``, ``client`` or ``router``.
        tier: ``device``, ``edge`` or ``cloud``.
        labels: What it is known for.
        cores: Processors that it may keep busy; None is all of them.
        memory_bytes: What it may hold; None is as much as there is.

    Raises:
        SpecError: a value is not of its form.
    """

    name: str
    role: Role = "site"
    tier: Tier = "edge"
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    cores: float | None = None
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise SpecError(f"{self.name!r} is no name: use lower-case letters, digits and -, a letter first")
        if self.role not in get_args(Role):
            raise SpecError(f"role is {self.role!r}; it must be one of {', '.join(get_args(Role))}")
        if self.tier not in get_args(Tier):
            raise SpecError(f"tier is {self.tier!r}; it must be one of {', '.join(get_args(Tier))}")
        if not isinstance(self.labels, Mapping) or not all(isinstance(text, str) for text in self.labels.values()):
            raise SpecError(f"labels are {self.labels!r}; they must be a table of texts")
        cores = self.cores
        if cores is not None and (isinstance(cores, bool) or not isinstance(cores, int | float) or not cores >= 0.01):
            raise SpecError(f"cores is {cores!r}; it must be a number, at least 0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLink:
    """A link between two nodes.

    Args:
        a: Its first end; *forward* is from here.
        b: Its second end.
        conditions: What it does in each direction.
        schedules: How directions change over time.
    """

    a: str
    b: str
    conditions: LinkConditions
    schedules: Mapping[DirectionName, Schedule] = field(default_factory=dict, hash=False)

    @property
    def name(self) -> str:
        """How it is called: both ends, in the order in which they were declared."""
        return f"{self.a}--{self.b}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Nodes and links, checked.

    Args:
        name: What it is called.
        nodes: By name, in the order in which they were declared.
        links: Between them, at most one per pair.
        description: What it stands for, for people.
        seed: What all random numbers of its links begin from.
        congestion_control: TCP congestion control in every namespace; None is ``bbr`` where there is one.

    Raises:
        SpecError: there is no client, a link ends nowhere, a pair is linked twice, or a node cannot be reached.
    """

    name: str
    nodes: Mapping[str, Node]
    links: tuple[PlannedLink, ...]
    description: str = ""
    seed: int = 0
    congestion_control: str | None = None

    def __post_init__(self) -> None:
        if not any(node.role == "client" for node in self.nodes.values()):
            raise SpecError('no node is a client; give one role = "client", from which the sites are called')
        pairs: set[frozenset[str]] = set()
        for index, link in enumerate(self.links):
            for key, end in (("a", link.a), ("b", link.b)):
                if end not in self.nodes:
                    raise SpecError(f"links[{index}].{key}: there is no node {end!r}")
            if link.a == link.b:
                raise SpecError(f"links[{index}]: both ends are {link.a!r}")
            pair = frozenset((link.a, link.b))
            if pair in pairs:
                raise SpecError(f"links[{index}]: {link.a} and {link.b} are linked already")
            pairs.add(pair)
        self._require_connected()

    @property
    def sites(self) -> list[Node]:
        """The nodes with an engine."""
        return [node for node in self.nodes.values() if node.role == "site"]

    @property
    def clients(self) -> list[Node]:
        """The nodes that calls come from."""
        return [node for node in self.nodes.values() if node.role == "client"]

    def _require_connected(self) -> None:
        neighbours: dict[str, set[str]] = {name: set() for name in self.nodes}
        for link in self.links:
            neighbours[link.a].add(link.b)
            neighbours[link.b].add(link.a)
        first = next(iter(self.nodes))
        reached, pending = {first}, [first]
        while pending:
            for name in neighbours[pending.pop()] - reached:
                reached.add(name)
                pending.append(name)
        for name in self.nodes:
            if name not in reached:
                raise SpecError(f"no links lead from {first!r} to {name!r}")
