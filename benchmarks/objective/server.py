"""The bare runtime that is loaded, in processes of its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from benchmarks.serving.processes import ServerProcess

START_S = 120.0
PATH = "/function/classify"
ADDRESS = re.compile(rb"skerry runtime: http://[^:]*:(\d+)")
SAMPLE = re.compile(r"^(skerry_batch\w*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Server:
    """A runtime with one worker that serves `app`.

    Args:
        folder: Where its output goes.
        model: What it classifies with.
        file: The ONNX model.
        max_size: Largest batch.
        objective_s: What it is told to keep, in seconds.
    """

    def __init__(self, folder: Path, *, model: str, file: Path, max_size: int, objective_s: float) -> None:
        environment = {
            "PORT": "0",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "BENCHMARK_MODEL": model,
            "BENCHMARK_MODEL_FILE": str(file),
            "BENCHMARK_MAX_SIZE": str(max_size),
            "BENCHMARK_OBJECTIVE": f"{objective_s * 1000:g}ms",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "skerry.runtime", "benchmarks.objective.app:app", "--function", "classify"]
        self._process = ServerProcess(command, environment=environment, folder=folder)
        self.port = 0

    def __enter__(self) -> Server:
        """Wait until it serves."""
        until = time.monotonic() + START_S
        while not self._is_ready():
            if self._process.has_ended() or time.monotonic() > until:
                self._process.stop()
                raise RuntimeError(f"the server does not start:\n{self._process.log.read_text()[-4000:]}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End it."""
        self._process.stop()

    def cpu_s(self) -> float:
        """Return the processor time of all its processes, in seconds."""
        return self._process.cpu_s()

    def batching(self) -> dict[str, float]:
        """Return what ``/metrics`` says of batches: values by name and by the labels that are not the function's."""
        with self._connect() as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        found: dict[str, float] = {}
        for line in text.splitlines():
            if sample := SAMPLE.match(line):
                labels = {name: value for name, value in LABEL.findall(sample[2] or "") if "_name" not in name}
                found[" ".join([sample[1], *labels.values()])] = float(sample[3])
        return found

    def _is_ready(self) -> bool:
        address = ADDRESS.search(self._process.log.read_bytes())
        if address is None:
            return False
        self.port = int(address[1])
        with self._connect() as connection:
            connection.request("GET", "/health/readiness")
            return connection.getresponse().status == 200

    @contextmanager
    def _connect(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            yield connection
        finally:
            connection.close()


def machine_cpu_s() -> float:
    """Return the processor time that the whole machine has worked, in seconds: all but idle and waiting for disks."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq))) / os.sysconf("SC_CLK_TCK")


def request(image: list[float]) -> bytes:
    """Return the whole request of an image."""
    body = json.dumps(image, separators=(",", ":")).encode()
    head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body
