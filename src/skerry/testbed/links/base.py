"""The contract of a link: two ends, conditions in each direction that change while it runs, and counts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from skerry.testbed.links.conditions import LinkConditions

DirectionName = Literal["forward", "backward"]
DIRECTIONS: tuple[DirectionName, DirectionName] = ("forward", "backward")
CUT: dict[str, Any] = {"loss_ratio": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One end of a link between namespaces.

    Args:
        namespace: Name of the network namespace; None is the machine's own.
        interface: Name of the interface there, at most 15 bytes.
        address: IPv4 address of the interface; the ends of a link have one each and reach each other directly.
    """

    namespace: str | None
    interface: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectionReport:
    """What became of the packets of one direction since the link came up.

    Args:
        packets: Those that came in.
        bytes: Their bytes, with IP heads.
        lost: Those that its loss took.
        overflowed: Those that the queue in front of its rate had no room for.
        duplicated: Those that were sent twice.
        reordered: Those that overtook another.
        missed: Those that the emulation itself dropped because it did not keep up; should be 0.
        lateness: How late packets left: ``p50_ms``, ``p99_ms``, ``max_ms``; empty where the means cannot tell.
    """

    packets: int
    bytes: int
    lost: int
    overflowed: int
    duplicated: int
    reordered: int
    missed: int
    lateness: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReport:
    """What a link is and did, as plain data.

    Args:
        means: How it is emulated: ``netem``, ``tun`` or ``relay (approximate)``.
        facts: What the means says of itself, such as its scheduling.
        conditions: Those that hold now, by direction.
        forward: Counts from the first end to the second.
        backward: Counts from the second end to the first.
    """

    means: str
    facts: dict[str, Any]
    conditions: dict[str, Any]
    forward: DirectionReport
    backward: DirectionReport

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)


class Link(ABC):
    """A link that is emulated by some means.

    Args:
        conditions: What it does in each direction.
        folder: Where it keeps its files while it is up.
        seed: What its random numbers begin from.
    """

    means: ClassVar[str]

    def __init__(self, conditions: LinkConditions, folder: Path, *, seed: int) -> None:
        self._conditions = conditions
        self._folder = folder
        self._seed = seed

    @property
    def conditions(self) -> LinkConditions:
        """What it was made with; `report` tells what holds now."""
        return self._conditions

    @abstractmethod
    def up(self) -> None:
        """Make the link; it outlives this object until :meth:`down`.

        Raises:
            PlatformError: the machine cannot.
        """

    @abstractmethod
    def down(self) -> None:
        """Remove the link and all that it made; does nothing when it is not up."""

    @abstractmethod
    def change(self, direction: DirectionName, changes: dict[str, Any]) -> None:
        """Replace some conditions of one direction while the link is up.

        Args:
            direction: Which one.
            changes: New values by name, such as ``{"rate_mbps": 2}``; the others stay.

        Raises:
            SpecError: there is no such condition, or a value is out of range.
            PlatformError: the link is not up, or its means cannot do this.
        """

    @abstractmethod
    def report(self) -> LinkReport:
        """Return what the link is, and what became of its packets so far.

        Raises:
            PlatformError: the link is not up.
        """

    def change_both(self, changes: dict[str, Any], *, directions: Sequence[DirectionName] = DIRECTIONS) -> None:
        """Replace some conditions of both directions, as :meth:`change` does for one."""
        for direction in directions:
            self.change(direction, changes)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
