"""The same training without Skerry: a plain Python process that reads orders from its input and answers each.

It ends when its input does, so nothing is left when whoever started it is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.errors import PlatformError
from skerry.runtime.confinement import thread_environment
from skerry.testbed.experiments.edge_federated.messages import Trained, Training

ARGV = (sys.executable, "-m", "skerry.testbed.experiments.edge_federated.trainer")


class Trainer:
    """A plain process that trains, during a ``with`` block.

    Args:
        processors: On which it may run; none for all.
    """

    def __init__(self, processors: Iterable[int] = ()) -> None:
        self._processors = sorted(processors)
        self._folder = tempfile.TemporaryDirectory(prefix="skerry-trainer-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """A folder of its own, for vectors that are handed over in files."""
        return Path(self._folder.name)

    def train(self, training: Training) -> tuple[Trained, float]:
        """Train, and return what came of it and how long its caller in that process waited, in seconds."""
        answer = self.ask({"training": training.model_dump(mode="json")})
        return Trained.model_validate(answer["trained"]), float(answer["response_s"])

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order and wait for the answer.

        Raises:
            PlatformError: the process has ended, or could not do it.
        """
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PlatformError("the trainer runs only inside its block")
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise PlatformError(f"the plain training process has ended (exit code {process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        # Its images are in files of its own, which go with it.
        environment = {**os.environ, **thread_environment(1), "TMPDIR": self._folder.name}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        if self._processors:
            os.sched_setaffinity(self._process.pid, self._processors)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()
        self._folder.cleanup()


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    from skerry.testbed.experiments.edge_federated.app import train_here
    from skerry.testbed.experiments.edge_federated.round_work import fit_file

    if "training" not in order:
        return fit_file(order)
    training = Training.model_validate(order["training"])
    began_s = time.perf_counter()
    trained = train_here(training)
    return {"response_s": time.perf_counter() - began_s, "trained": trained.model_dump(mode="json")}


def main() -> int:
    """Answer orders until there are no more."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
