"""The keeper: a process of its own that withdraws what is due, whatever becomes of the one that acts.

``python -m skerry.network.actions.keeper_process FOLDER``: it reads lines from its standard input and answers each with
``armed`` once it has read the journal. When the acting process is gone it stays until nothing is in force.
"""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

from skerry.errors import SkerryError
from skerry.network.actions.actuator import Actuator
from skerry.network.actions.journal import Entry, Journal
from skerry.network.actions.withdrawal import RETRY_S, make_actuator, monotonic_s, withdraw_due

ARMED = b"armed\n"
ALONE_S = 2.0


class Keeper:
    """Watches one journal.

    Args:
        folder: Where the journal is.
    """

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder)
        self._actuators: dict[tuple[str, str], Actuator] = {}
        self._said = ""

    def look(self) -> float | None:
        """Withdraw what is due; return the seconds until the next is, None when nothing is in force."""
        try:
            return withdraw_due(self._journal, self._actuator, now_s=monotonic_s(), say=self._say)
        except SkerryError as error:
            self._say(error.message)
            return RETRY_S

    def _say(self, text: str) -> None:
        """Write into the keeper's log, but nothing that was written last: it is tried again twice a second."""
        if text != self._said:
            self._said = text
            sys.stderr.write(f"{text}\n")

    def _actuator(self, entry: Entry) -> Actuator:
        key = (entry.actuator, str(sorted(entry.settings.items())))
        if key not in self._actuators:
            self._actuators[key] = make_actuator(entry.actuator, entry.settings)
        return self._actuators[key]


def keep(folder: Path, *, descriptor: int) -> None:
    """Withdraw what is due until the other side has gone and nothing is in force.

    Args:
        folder: Where the journal is.
        descriptor: A socket from which lines come and to which the answers go.
    """
    keeper = Keeper(folder)
    watched = [descriptor]
    while True:
        wait_s = keeper.look()
        if wait_s is None and not watched:
            return
        if not watched:  # nobody tells it any more what another acting process has withdrawn
            wait_s = ALONE_S if wait_s is None else min(wait_s, ALONE_S)
        ready, _, _ = select.select(watched, [], [], wait_s)
        if not ready:
            continue
        try:
            asked = os.read(descriptor, 4096)
            if asked:
                keeper.look()
                os.write(descriptor, ARMED * asked.count(b"\n"))
        except (BrokenPipeError, ConnectionResetError):
            asked = b""
        if not asked:
            watched = []


if __name__ == "__main__":
    keep(Path(sys.argv[1]), descriptor=sys.stdin.fileno())
