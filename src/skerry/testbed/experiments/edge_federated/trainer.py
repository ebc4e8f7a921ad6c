"""The same training without Skerry: the handle of a plain Python process, `plain_process`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skerry.errors import PlatformError
from skerry.runtime.confinement import thread_environment
from skerry.testbed.experiments.edge_federated.messages import Trained, Training

ARGV = (sys.executable, "-m", "skerry.testbed.experiments.edge_federated.plain_process")


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
