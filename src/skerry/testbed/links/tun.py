"""Links between namespaces by a pair of TUN devices and a process that moves their packets. Needs root."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from skerry.errors import PlatformError, from_problem
from skerry.testbed.links.base import DirectionName, DirectionReport, End, Link, LinkReport
from skerry.testbed.links.conditions import Conditions, LinkConditions
from skerry.testbed.links.control import ask
from skerry.testbed.links.namespace import run_tool
from skerry.testbed.links.schedule import Schedule

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
QUEUE_PACKETS = 5000
MTU_BYTES = 1500
# What passes between a packet's arrival in the kernel and its process' clock reading, and from waking up to the write.
AHEAD_S = 30e-6


class TunLink(Link):
    """A link by TUN.

    Args:
        ends: The first and the second end.
        conditions: What it does in each direction.
        folder: Where its socket and its log are.
        seed: What its random numbers begin from.
        schedules: How directions change over time; begins when the link comes up.
    """

    means = "tun"

    def __init__(
        self,
        ends: tuple[End, End],
        conditions: LinkConditions,
        folder: Path,
        *,
        seed: int = 0,
        schedules: dict[DirectionName, Schedule] | None = None,
    ) -> None:
        super().__init__(conditions, folder, seed=seed)
        self._ends = ends
        self._schedules = schedules or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the process that this object has started, if it has."""
        return self._process.pid if self._process is not None else None

    def up(self) -> None:
        """Start the process, and give the interfaces their addresses."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        order = {
            "ends": [{"namespace": end.namespace, "interface": end.interface} for end in self._ends],
            "conditions": self._conditions.to_dict(),
            "schedules": {name: schedule.to_dict() for name, schedule in self._schedules.items()},
            "seed": self._seed,
            "control": str(self._control.absolute()),
            "ahead_s": AHEAD_S,
        }
        try:
            self._start(order)
            for end, other in (self._ends, self._ends[::-1]):
                configure(end, other, mtu_bytes=MTU_BYTES)
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End the process; its interfaces go with it."""
        with suppress(PlatformError):
            ask(self._control, {"do": "stop"})
        if self._process is not None:
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._control.unlink(missing_ok=True)

    def change(self, direction: DirectionName, changes: dict[str, Any]) -> None:
        """Replace some conditions; packets that are on their way keep their moments."""
        plain = {name: value.to_dict() if isinstance(value, Conditions) else value for name, value in changes.items()}
        ask(self._control, {"do": "change", "direction": direction, "changes": plain})

    def restart_schedule(self) -> None:
        """Let the link's schedules begin anew, now."""
        ask(self._control, {"do": "restart"})

    def report(self) -> LinkReport:
        """Return counts of the process, and how late its packets left."""
        reply = ask(self._control, {"do": "report"})
        directions = {}
        conditions = {}
        for name in ("forward", "backward"):
            conditions[name] = reply[name].pop("conditions")
            directions[name] = DirectionReport(**reply[name])
        facts = {"scheduling": reply["scheduling"], "offload": False, "mtu_bytes": MTU_BYTES}
        return LinkReport(
            means=self.means,
            facts=facts,
            conditions=conditions,
            forward=directions["forward"],
            backward=directions["backward"],
        )

    @property
    def _control(self) -> Path:
        return self._folder / "control"

    def _start(self, order: dict[str, Any]) -> None:
        with (self._folder / "link.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "skerry.testbed.links.tun_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise PlatformError("the link process has no pipes")
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
        with process.stdout as output:
            said = _read_line(output.fileno(), START_TIMEOUT_S)
        if "problem" in said:
            raise from_problem(said["problem"])
        if "ready" not in said:
            raise PlatformError(f"the link process did not start; see {self._folder / 'link.log'}")


def configure(end: End, other: End, *, mtu_bytes: int) -> None:
    """Give an interface its address and bring it up; its peer is reached through it.

    Raises:
        PlatformError: there is no such interface, or this process may not.
    """
    where = ["-n", end.namespace] if end.namespace is not None else []
    for words in (
        ["addr", "add", end.address, "peer", other.address, "dev", end.interface],
        ["link", "set", end.interface, "mtu", str(mtu_bytes), "txqueuelen", str(QUEUE_PACKETS), "up"],
    ):
        run_tool(["ip", *where, *words])


def _read_line(descriptor: int, timeout_s: float) -> dict[str, Any]:
    """Return the JSON object on the first line of a pipe; empty when it ended or took too long."""
    ends_at = time.monotonic() + timeout_s
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, ends_at - time.monotonic()))
        piece = os.read(descriptor, 1 << 16) if ready else b""
        if not piece:
            return {}
        line += piece
    found = json.loads(line)
    return found if isinstance(found, dict) else {}
