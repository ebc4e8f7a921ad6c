"""``python -m skerry.testbed.links.netem_process``: changes netem when schedules and requests say so."""

from __future__ import annotations

import json
import select
import sys
import time
from pathlib import Path
from typing import Any

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.conductor import Conductor, run_process
from skerry.testbed.links.namespace import MTU_BYTES, run_tool
from skerry.testbed.links.netem import qdisc_words
from skerry.testbed.links.netem_words import netem_words


class NetemLane:
    """One direction: netem where packets leave.

    Args:
        end: ``namespace`` and ``interface`` that packets leave by.
        conditions: What it does first.
        tables: Folder of the distributions.
    """

    def __init__(self, end: dict[str, Any], conditions: Conditions, tables: Path) -> None:
        self._namespace: str | None = end["namespace"]
        self._interface: str = end["interface"]
        self._tables = tables
        self._set("add", conditions)

    def change(self, conditions: Conditions) -> None:
        """Go on under other conditions; packets that are on their way keep their moments."""
        self._set("change", conditions)

    def report(self) -> dict[str, Any]:
        """Return the kernel's counts; it does not tell what was lost from what found no room."""
        where = [] if self._namespace is None else ["-n", self._namespace]
        found = json.loads(run_tool(["tc", *where, "-s", "-j", "qdisc", "show", "dev", self._interface, "root"]))
        counts = found[0] if found else {}
        passed, dropped = int(counts.get("packets", 0)), int(counts.get("drops", 0))
        return {
            "packets": passed + dropped,
            "bytes": int(counts.get("bytes", 0)),
            "lost": dropped,
            "overflowed": 0,
            "duplicated": 0,
            "reordered": 0,
            "missed": 0,
            "lateness": {},
        }

    def _set(self, verb: str, conditions: Conditions) -> None:
        words = qdisc_words(verb, self._namespace, self._interface, netem_words(conditions))
        run_tool(words, variables={"TC_LIB_DIR": str(self._tables)})


class NetemProcess:
    """netem at both ends of a link.

    Args:
        order: ``ends``, ``tables`` (folder), ``conditions``, ``schedules``, ``control``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        forward, backward = (
            NetemLane(end, Conditions.from_dict(order["conditions"][name]), Path(order["tables"]))
            for name, end in zip(("forward", "backward"), order["ends"], strict=True)
        )
        self.facts: dict[str, Any] = {"scheduling": "kernel", "offload": False, "mtu_bytes": MTU_BYTES}
        self._conductor = Conductor(order, {"forward": forward, "backward": backward}, self.facts)

    def run(self) -> None:
        """Make changes until a request says stop."""
        conductor = self._conductor
        while not conductor.stopped:
            conductor.follow_schedules()
            wait_s = None if conductor.wake_s is None else max(0.0, conductor.wake_s - time.monotonic())
            ready, _, _ = select.select(conductor.descriptors, [], [], wait_s)
            for descriptor in ready:
                conductor.serve(descriptor)

    def close(self) -> None:
        """Remove the socket; the interfaces stay until the link is brought down."""
        self._conductor.close()


if __name__ == "__main__":
    sys.exit(run_process(NetemProcess))
