"""Links that a process of their own works for: how it is started, asked and ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from skerry.errors import PlatformError, from_problem
from skerry.testbed.links.base import DIRECTIONS, DirectionName, DirectionReport, Link, LinkReport
from skerry.testbed.links.conditions import LinkConditions
from skerry.testbed.links.control import ask
from skerry.testbed.links.schedule import Schedule

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


class ProcessLink(Link):
    """A link with a process that outlives this object until :meth:`down`, called on this or on another like it.

    Args:
        conditions: What it does in each direction.
        folder: Where the process' socket and log are.
        seed: What its random numbers begin from.
        schedules: How directions change over time; they begin when the link comes up.
        variables: Environment variables of the process, on top of this one's own.
    """

    module: ClassVar[str]

    def __init__(
        self,
        conditions: LinkConditions,
        folder: Path,
        *,
        seed: int = 0,
        schedules: Mapping[DirectionName, Schedule] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(conditions, folder, seed=seed)
        self._schedules = schedules or {}
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._leashed = False
        self._leash: int | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the process that this object has started; None when it has not."""
        return self._process.pid if self._process is not None else None

    def leash(self) -> None:
        """Let the link end with this process, however that ends; to be called before the link comes up."""
        self._leashed = True

    def release(self) -> None:
        """Let the link outlive this process."""
        if self._process is not None:
            # A Popen that is dropped while its process runs warns of a leak; here that is what is wanted.
            self._process.returncode = 0
            self._process = None

    def down(self) -> None:
        """End the process; what it made goes with it."""
        with suppress(PlatformError):
            ask(self._control, {"do": "stop"})
        if self._process is not None:
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._leash is not None:
            os.close(self._leash)
            self._leash = None
        self._control.unlink(missing_ok=True)

    def change(self, direction: DirectionName, changes: dict[str, Any]) -> None:
        """Replace some conditions; a schedule no longer changes this direction."""
        ask(self._control, {"do": "change", "direction": direction, "changes": changes})

    def hold_schedule(self) -> None:
        """Let the link have its own conditions, and no schedule until :meth:`restart_schedule`."""
        ask(self._control, {"do": "hold"})

    def restart_schedule(self) -> None:
        """Let the link's schedules begin anew, now."""
        ask(self._control, {"do": "restart"})

    def report(self) -> LinkReport:
        """Return what the process says of itself and its packets."""
        reply = ask(self._control, {"do": "report"})
        forward, backward = (DirectionReport(**reply[name]) for name in DIRECTIONS)
        return LinkReport(
            means=self.means,
            facts=reply["facts"],
            conditions=reply["conditions"],
            forward=forward,
            backward=backward,
        )

    @property
    def _control(self) -> Path:
        return self._folder / "control"

    def _start(self, **order: Any) -> dict[str, Any]:
        """Start the process and return what it says when it is ready.

        Raises:
            SkerryError: what the process could not do.
            PlatformError: it ended, or was not ready in time.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        order["conditions"] = self._conditions.to_dict()
        order["schedules"] = {name: schedule.to_dict() for name, schedule in self._schedules.items()}
        order["seed"] = self._seed
        order["control"] = str(self._control.absolute())
        log = self._folder / "link.log"
        with log.open("ab") as errors, self._held_end() as held:
            order["leash"] = held
            process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                pass_fds=() if held is None else (held,),
                env={**os.environ, **self._variables},
            )
        self._process = process
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
            raise PlatformError(f"the link process did not start; see {log}: {log.read_text()[-1000:]}")
        ready: dict[str, Any] = said["ready"]
        return ready

    @contextmanager
    def _held_end(self) -> Iterator[int | None]:
        """Yield what the process reads the end of when this one is gone: a pipe that nobody writes to."""
        if not self._leashed:
            yield None
            return
        held, self._leash = os.pipe()
        try:
            yield held
        finally:
            os.close(held)


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
