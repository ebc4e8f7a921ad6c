"""A coordinator in a process of its own, which goes on from event to event as it is told: it can be killed between."""

import json
import subprocess
import sys
from pathlib import Path

from skerry.learn.federated import Federation, Plan
from skerry.platforms.engine import EnginePlatform


class Coordinator:
    """The process.

    Args:
        folder: Of the run.
        plan: The run's.
        addresses: Of the sites that the plan names.
    """

    def __init__(self, folder, plan, addresses):
        arguments = [str(folder), plan.model_dump_json(), json.dumps(addresses)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.federated_coordinator", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )

    def step(self):
        """Let it go on to its next event, and return its kind; none at the end."""
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().decode().strip() or None

    def kill(self):
        """End it as the kernel's out-of-memory killer would."""
        self._process.kill()
        self.close()

    def close(self):
        """Wait for its end, and return its exit code."""
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(30)


def main():
    folder, plan, addresses = sys.argv[1:]
    places = {name: EnginePlatform(address, expected=True) for name, address in json.loads(addresses).items()}
    events = Federation(Path(folder), Plan.model_validate_json(plan), places=places).events()
    while sys.stdin.readline():
        event = next(events, None)
        if event is None:
            return
        sys.stdout.write(f"{event.kind}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
