"""The keeper: a process of its own that withdraws what is due, whatever becomes of the one that acts.

``python -m skerry.network.actions.keeper_process FOLDER``: it reads lines from its standard input and answers each with
``armed`` once it has read the journal. When the acting process is gone it stays until nothing is in force.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from skerry.network.actions.actuator import Actuator
from skerry.network.actions.journal import Entry, Journal
from skerry.network.actions.withdrawal import RETRY_S, describe, make_actuator, monotonic_s, withdraw_due

ARMED = b"armed\n"
ALONE_S = 2.0
# Different failures that are written until all has gone well again: some name a process id that is new each time.
MOST_SAID = 200


class Keeper:
    """Watches one journal.

    Args:
        folder: Where the journal is.
    """

    def __init__(self, folder: Path) -> None:
        self._journal = Journal(folder)
        self._actuators: dict[tuple[str, str], Actuator] = {}
        self._said: set[str] = set()

    def look(self) -> float | None:
        """Withdraw what is due; return the seconds until the next is, None when nothing is in force."""
        failures: list[str] = []
        try:
            wait_s = withdraw_due(self._journal, self._actuator, now_s=monotonic_s(), say=failures.append)
        except Exception as error:  # whatever it is: without the keeper nothing would be withdrawn any more
            failures.append(describe(error))
            wait_s = RETRY_S
        self._write(failures)
        return wait_s

    def _write(self, failures: Sequence[str]) -> None:
        """Write failures into the keeper's log, each once until all has gone well: all are tried twice a second."""
        if not failures:
            self._said.clear()
        for text in failures:
            if text in self._said or len(self._said) >= MOST_SAID:
                continue
            self._said.add(text)
            with suppress(OSError):  # the disk may be full, and that is no reason to withdraw nothing
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
