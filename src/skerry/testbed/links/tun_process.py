"""``python -m skerry.testbed.links.tun_process``: the process behind a TUN link; its order comes on standard input."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from skerry.errors import InternalError, SkerryError
from skerry.testbed.links.base import DIRECTIONS
from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.control import ControlServer, problem_reply
from skerry.testbed.links.forwarder import Direction, Forwarder
from skerry.testbed.links.priority import take_priority
from skerry.testbed.links.schedule import Schedule
from skerry.testbed.links.scheduler import Scheduler
from skerry.testbed.links.tun_device import TunDevice


class TunProcess:
    """Both devices of a link, its schedulers, and the socket that it is told changes by.

    Args:
        order: ``ends`` (namespace and interface of both), ``conditions``, ``schedules``, ``seed``, ``control`` (path
            of the socket), ``ahead_s``.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        first, second = (TunDevice(end["namespace"], end["interface"]) for end in order["ends"])
        self._devices = (first, second)
        pairs = {"forward": (first, second), "backward": (second, first)}
        self._directions: dict[str, Direction] = {}
        self._schedules: dict[str, Schedule] = {}
        for name in DIRECTIONS:
            base = Conditions.from_dict(order["conditions"][name])
            source, target = pairs[name]
            scheduler = Scheduler(base, seed=f"{order['seed']}/{name}")
            self._directions[name] = Direction(source.descriptor, target.descriptor, scheduler)
            planned = order["schedules"].get(name) or {"steps": [], "repeat_s": None}
            self._schedules[name] = Schedule.from_rows(base, planned["steps"], planned["repeat_s"])
        forward, backward = self._directions["forward"], self._directions["backward"]
        self._forwarder = Forwarder((forward, backward), ahead_s=order["ahead_s"])
        self._control = ControlServer(Path(order["control"]))
        self.scheduling = take_priority()
        self._began_s = time.monotonic()
        self._change_at_s: dict[str, float | None] = {name: 0.0 for name in DIRECTIONS}

    def run(self) -> None:
        """Move packets until a request says stop."""
        while True:
            self._follow_schedules()
            changes = [at_s for at_s in self._change_at_s.values() if at_s is not None]
            wake_s = self._began_s + min(changes) if changes else None
            for descriptor in self._forwarder.step(self._control.descriptors, wake_s):
                request = self._control.receive(descriptor)
                if request is None:
                    continue
                self._control.answer(descriptor, self._do(request))
                if request.get("do") == "stop":
                    return

    def close(self) -> None:
        """Remove the interfaces and the socket."""
        self._control.close()
        for device in self._devices:
            device.close()

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._answer(request)
        except SkerryError as error:
            return problem_reply(error)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request.get("do")
        if what == "report":
            return {"scheduling": self.scheduling, **{name: self._report(name) for name in DIRECTIONS}}
        if what == "change":
            name = request["direction"]
            scheduler = self._directions[name].scheduler
            scheduler.change(scheduler.conditions.changed(**request["changes"]), time.monotonic())
            # Who changes a link by hand has taken it over from its schedule.
            self._change_at_s[name] = None
            return {"conditions": scheduler.conditions.to_dict()}
        if what == "restart":
            self._began_s = time.monotonic()
            self._change_at_s = {name: 0.0 for name in DIRECTIONS}
            return {}
        if what == "stop":
            return {}
        raise InternalError(f"a link process was asked for {what!r}, which it does not know")

    def _report(self, name: str) -> dict[str, Any]:
        direction = self._directions[name]
        device = self._devices[0 if name == "forward" else 1]
        return {
            **direction.scheduler.tally.to_dict(),
            "missed": device.dropped() + direction.refused,
            "lateness": direction.lateness.to_dict(),
            "conditions": direction.scheduler.conditions.to_dict(),
        }

    def _follow_schedules(self) -> None:
        elapsed_s = time.monotonic() - self._began_s
        for name, at_s in self._change_at_s.items():
            if at_s is None or elapsed_s < at_s:
                continue
            schedule, scheduler = self._schedules[name], self._directions[name].scheduler
            wanted = schedule.at(elapsed_s)
            if wanted != scheduler.conditions:
                scheduler.change(wanted, time.monotonic())
            self._change_at_s[name] = schedule.next_change_s(elapsed_s)


def main() -> int:
    """Run a link process; says ``{"ready": …}`` or ``{"problem": …}`` on standard output, and then nothing more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = TunProcess(json.load(sys.stdin))
    except SkerryError as error:
        sys.stdout.write(json.dumps(problem_reply(error)) + "\n")
        return 1
    sys.stdout.write(json.dumps({"ready": {"scheduling": process.scheduling}}) + "\n")
    sys.stdout.flush()
    try:
        process.run()
    finally:
        process.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
