"""The client's process, as the run sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.errors import PlatformError, SkerryError
from skerry.testbed.experiments.place import Place
from skerry.testbed.experiments.schedule import Slot

ARGV = (sys.executable, "-m", "skerry.testbed.experiments.client")
END_TIMEOUT_S = 10.0


class ClientProcess:
    """Starts the client of a place and hands it trials, during a ``with`` block.

    Args:
        place: Where it runs, and who takes its orders to disturb something.
        target: Where the experiment is declared.
        options: Every option with its value.
        arms: Names of the arms that run.
        log: The file for its messages.
    """

    def __init__(
        self, place: Place, target: str, *, options: Mapping[str, str], arms: Sequence[str], log: Path
    ) -> None:
        self._place = place
        self._head = {
            "target": target,
            "options": dict(options),
            "arms": list(arms),
            "sites": {name: site.to_json() for name, site in place.sites.items()},
        }
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the client."""
        return self._running().pid

    def run(self, slot: Slot) -> dict[str, Any]:
        """Run one trial; returns ``values``, ``notes`` and ``story``, or ``error``.

        Raises:
            PlatformError: the client has ended.
        """
        self._send({"arm": slot.arm, "repeat": slot.repeat, "seed": slot.seed})
        return self._listen(self._obey)

    def __enter__(self) -> Self:
        self._process = self._place.start_client(ARGV, log=self._log)
        try:
            self._send(self._head)
            answer = self._listen(self._obey)
            if "ready" not in answer:
                raise PlatformError(f"the experiment cannot begin: {answer.get('error', answer)}")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _obey(self, order: Mapping[str, Any]) -> None:
        try:
            self._send({"done": self._place.disturb(order["do"], order["how"])})
        except SkerryError as error:
            self._send({"error": error.message})

    def _listen(self, obey: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
        output = self._running().stdout
        while output is not None and (line := output.readline()):
            answer: dict[str, Any] = json.loads(line)
            if "do" not in answer:
                return answer
            obey(answer)
        code = self._running().wait()
        said = self._log.read_text(errors="replace")[-2000:].strip()
        raise PlatformError(f"the client has ended (exit code {code}): {said or 'it said nothing'}")

    def _send(self, value: Mapping[str, Any]) -> None:
        pipe = self._running().stdin
        if pipe is not None:
            with suppress(BrokenPipeError):  # what it said last is read next
                pipe.write(json.dumps(value).encode() + b"\n")
                pipe.flush()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PlatformError("the client runs only inside its block")
        return self._process

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
