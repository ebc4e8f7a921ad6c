"""Links between namespaces by a pair of TUN devices and a process that moves their packets. Needs root."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skerry.testbed.links.base import DirectionName, End
from skerry.testbed.links.conditions import LinkConditions
from skerry.testbed.links.namespace import configure_interface
from skerry.testbed.links.process_link import ProcessLink
from skerry.testbed.links.schedule import Schedule

# What passes between a packet's arrival in the kernel and its process' clock reading, and from waking up to the write.
AHEAD_S = 30e-6


class TunLink(ProcessLink):
    """A link by TUN.

    Args:
        ends: The first and the second end.
        conditions: What it does in each direction.
        folder: Where its socket and its log are.
        seed: What its random numbers begin from.
        schedules: How directions change over time; they begin when the link comes up.
        variables: Environment variables of its process, on top of this one's own.
    """

    means = "tun"
    module = "skerry.testbed.links.tun_process"

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

    def up(self) -> None:
        """Start the process, and give the interfaces their addresses."""
        try:
            self._start(
                ends=[{"namespace": end.namespace, "interface": end.interface} for end in self._ends], ahead_s=AHEAD_S
            )
            for end, other in (self._ends, self._ends[::-1]):
                configure_interface(end.namespace, end.interface, address=end.address, peer=other.address)
        except BaseException:
            self.down()
            raise
