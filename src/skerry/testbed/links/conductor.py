"""The part that every link process has: conditions of both directions, their schedules, and requests about them."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from skerry.errors import InternalError, SkerryError
from skerry.testbed.links.base import DIRECTIONS, DirectionName
from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.control import ControlServer, problem_reply
from skerry.testbed.links.schedule import Schedule


class Lane(Protocol):
    """One direction, as the conductor sees it."""

    def change(self, conditions: Conditions) -> None:
        """Go on under other conditions."""

    def report(self) -> dict[str, Any]:
        """Return the fields of a `DirectionReport`."""


class Conductor:
    """Changes the conditions of both directions when their schedules or requests say so.

    Args:
        order: ``conditions`` and ``schedules`` by direction, ``control`` (path of the socket), ``leash`` (a descriptor
            that can be read once nobody needs the link any more, or None).
        lanes: Both directions.
        facts: What the means says of itself in each report.
    """

    def __init__(self, order: dict[str, Any], lanes: dict[DirectionName, Lane], facts: dict[str, Any]) -> None:
        self._lanes = lanes
        self._facts = facts
        self._schedules: dict[DirectionName, Schedule] = {}
        self._current: dict[DirectionName, Conditions] = {}
        for name in DIRECTIONS:
            base = Conditions.from_dict(order["conditions"][name])
            planned = order["schedules"].get(name) or {"steps": [], "repeat_s": None}
            self._schedules[name] = Schedule.from_rows(base, planned["steps"], planned["repeat_s"])
            self._current[name] = base
        self._control = ControlServer(Path(order["control"]))
        self._leash: int | None = order["leash"]
        self._began_s = 0.0
        self._change_at_s: dict[DirectionName, float | None] = {}
        self._restart()
        self.stopped = False

    @property
    def descriptors(self) -> list[int]:
        """What to wait for."""
        return self._control.descriptors if self._leash is None else [*self._control.descriptors, self._leash]

    @property
    def wake_s(self) -> float | None:
        """When the next change is to happen, on the monotonic clock; None when none is planned."""
        planned = [at_s for at_s in self._change_at_s.values() if at_s is not None]
        return self._began_s + min(planned) if planned else None

    def follow_schedules(self) -> None:
        """Make the changes whose moment has come."""
        elapsed_s = time.monotonic() - self._began_s
        for name, at_s in self._change_at_s.items():
            if at_s is not None and elapsed_s >= at_s:
                self._set(name, self._schedules[name].at(elapsed_s))
                self._change_at_s[name] = self._schedules[name].next_change_s(elapsed_s)

    def serve(self, descriptor: int) -> None:
        """Answer the request at a descriptor that can be read."""
        if descriptor == self._leash:
            self.stopped = True
            return
        request = self._control.receive(descriptor)
        if request is None:
            return
        try:
            reply = self._answer(request)
        except SkerryError as error:
            reply = problem_reply(error)
        self._control.answer(descriptor, reply)

    def close(self) -> None:
        """Remove the socket."""
        self._control.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        what = request.get("do")
        if what == "report":
            conditions = {name: self._current[name].to_dict() for name in DIRECTIONS}
            forward, backward = (self._lanes[name].report() for name in DIRECTIONS)
            return {"facts": self._facts, "conditions": conditions, "forward": forward, "backward": backward}
        if what == "change":
            name: DirectionName = request["direction"]
            self._set(name, self._current[name].changed(**request["changes"]))
            # Who changes a link by hand has taken it over from its schedule.
            self._change_at_s[name] = None
        elif what == "restart":
            self._restart()
        elif what == "hold":
            for lane in DIRECTIONS:
                self._set(lane, self._schedules[lane].base)
                self._change_at_s[lane] = None
        elif what == "stop":
            self.stopped = True
        else:
            raise InternalError(f"a link process was asked for {what!r}, which it does not know")
        return {}

    def _set(self, name: DirectionName, conditions: Conditions) -> None:
        if conditions != self._current[name]:
            self._lanes[name].change(conditions)
            self._current[name] = conditions

    def _restart(self) -> None:
        self._began_s = time.monotonic()
        self._change_at_s = {name: 0.0 if self._schedules[name].steps else None for name in DIRECTIONS}


class LinkProcess(Protocol):
    """What `run_process` runs."""

    facts: dict[str, Any]

    def run(self) -> None:
        """Work until a request says stop."""

    def close(self) -> None:
        """Remove what it made."""


def run_process(make: Callable[[dict[str, Any]], LinkProcess]) -> int:
    """Run a link process whose order comes on standard input.

    It says ``{"ready": …}`` or ``{"problem": …}`` on one line of standard output, and then nothing more.

    Args:
        make: Makes it from its order.

    Returns:
        The exit code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = make(json.load(sys.stdin))
    except SkerryError as error:
        sys.stdout.write(json.dumps(problem_reply(error)) + "\n")
        return 1
    sys.stdout.write(json.dumps({"ready": process.facts}) + "\n")
    sys.stdout.flush()
    try:
        process.run()
    finally:
        process.close()
    return 0
