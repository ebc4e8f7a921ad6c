"""Links whose ends are interfaces in namespaces, with a process of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skerry.testbed.links.base import DirectionName, End
from skerry.testbed.links.conditions import LinkConditions
from skerry.testbed.links.namespace import configure_interface
from skerry.testbed.links.process_link import ProcessLink
from skerry.testbed.links.schedule import Schedule


class InterfaceLink(ProcessLink):
    """A link between two interfaces.

    Args:
        ends: The first and the second end.
        conditions: What it does in each direction.
        folder: Where its socket, its log and its tables are.
        seed: What its random numbers begin from.
        schedules: How directions change over time; they begin when the link comes up.
        variables: Environment variables of its process, on top of this one's own.
    """

    def __init__(
        self,
        ends: tuple[End, End],
        conditions: LinkConditions,
        folder: Path,
        *,
        seed: int = 0,
        schedules: Mapping[DirectionName, Schedule] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(conditions, folder, seed=seed, schedules=schedules, variables=variables)
        self._ends = ends

    def _interfaces(self) -> list[dict[str, str | None]]:
        """Return the ends as the process is told them."""
        return [{"namespace": end.namespace, "interface": end.interface} for end in self._ends]

    def _configure(self) -> None:
        """Give the interfaces their addresses."""
        for end, other in (self._ends, self._ends[::-1]):
            configure_interface(end.namespace, end.interface, address=end.address, peer=other.address)
