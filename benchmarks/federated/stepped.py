"""A coordinator in a process of its own, which goes on from event to event as it is told: it can be killed between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from skerry.learn.federated import Federation, Plan
from skerry.learn.federated.coordinator.federation import Place
from skerry.platforms.engine import EnginePlatform


class Coordinator:
    """The process.

    Args:
        folder: Of the run.
        plan: The run's.
        addresses: Of the sites that the plan names.
    """

    def __init__(self, folder: Path, plan: Plan, addresses: Mapping[str, str]) -> None:
        arguments = [str(folder), plan.model_dump_json(), json.dumps(dict(addresses))]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.federated.stepped", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._in, self._out = self._process.stdin, self._process.stdout

    def step(self) -> str | None:
        """Let it go on to its next event, and return its kind; none at the end."""
        self._in.write(b"\n")
        self._in.flush()
        return self._out.readline().decode().strip() or None

    def steps(self, count: int) -> list[str]:
        """Let it go on for some events, and return their kinds: fewer where it has come to its end."""
        kinds: list[str] = []
        while len(kinds) < count and (kind := self.step()) is not None:
            kinds.append(kind)
        return kinds

    def kill(self) -> None:
        """End it as the kernel's out-of-memory killer would."""
        self._process.kill()
        self.close()

    def close(self) -> int:
        """Wait for its end, and return its exit code."""
        self._in.close()
        self._out.close()
        return self._process.wait(30)


def main() -> None:
    """Run as the words of the command line say."""
    folder, plan, addresses = sys.argv[1:]
    places: dict[str | None, Place] = {
        name: EnginePlatform(address, expected=True) for name, address in json.loads(addresses).items()
    }
    events = Federation(Path(folder), Plan.model_validate_json(plan), places=places).events()
    while sys.stdin.readline():
        event = next(events, None)
        if event is None:
            return
        sys.stdout.write(f"{event.kind}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
