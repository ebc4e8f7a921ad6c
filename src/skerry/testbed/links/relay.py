"""Links without root: a relay of TCP streams. Approximate: it delays bytes, and cannot make TCP react to loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from skerry.testbed.links.base import DirectionName
from skerry.testbed.links.conditions import LinkConditions
from skerry.testbed.links.process_link import ProcessLink
from skerry.testbed.links.schedule import Schedule

Address = tuple[str, int]


class RelayLink(ProcessLink):
    """A link by a relay: who connects to its address speaks with the target over the link.

    Delay, jitter, rate and cuts (a loss of 1 holds bytes back until it ends) are what was set; other loss, duplication
    and reordering are left out, because a relay's streams have none.

    Args:
        target: Host and port at the second end, where a server listens.
        conditions: What it does in each direction.
        folder: Where its socket and its log are.
        listen: Host and port at the first end; port 0 picks a free one.
        seed: What its random numbers begin from.
        schedules: How directions change over time; they begin when the link comes up.
        variables: Environment variables of its process, on top of this one's own.
    """

    means = "relay (approximate)"
    module = "skerry.testbed.links.relay_process"

    def __init__(
        self,
        target: Address,
        conditions: LinkConditions,
        folder: Path,
        *,
        listen: Address = ("127.0.0.1", 0),
        seed: int = 0,
        schedules: Mapping[DirectionName, Schedule] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(conditions, folder, seed=seed, schedules=schedules, variables=variables)
        self._target = target
        self._listen = listen

    @property
    def address(self) -> Address:
        """Where the first end listens, once the link is up."""
        return self._listen

    def up(self) -> None:
        """Start the relay."""
        try:
            ready = self._start(listen=list(self._listen), target=list(self._target))
        except BaseException:
            self.down()
            raise
        self._listen = (str(ready["address"][0]), int(ready["address"][1]))
