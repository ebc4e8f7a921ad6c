"""The load generator in C: its building, its files, and what it measured."""

from __future__ import annotations

import json
import shutil
import subprocess
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SOURCE = Path(__file__).parent / "loader.c"
RECORD = np.dtype(
    [("sent_ns", "u8"), ("late_us", "u4"), ("latency_us", "u4"), ("status", "u2"), ("right", "u2"), ("unused", "u4")]
)
PERCENTILES = (50, 90, 95, 98, 99, 99.9)


class LoaderError(RuntimeError):
    """There is no C compiler, or the load generator failed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What became of the requests of one load.

    Args:
        records: One for each request, in the order of sending; latencies count from when a request was due.
        summary: What the generator says of itself: ``sent``, ``answered``, ``broken``, ``took_s``, ``cpu_s`` and
            ``deepest``, the most requests that one connection waited for.
    """

    records: np.ndarray[Any, Any]
    summary: dict[str, Any]

    @property
    def errors(self) -> int:
        """Requests that got no answer, or a wrong one."""
        return int((self.records["right"] == 0).sum())

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return float((self.records["right"] == 1).sum() / self.summary["took_s"])

    def share_within(self, objective_s: float) -> float:
        """Return the share of all requests that were answered rightly within the objective."""
        kept = (self.records["right"] == 1) & (self.records["latency_us"] <= objective_s * 1e6)
        return float(kept.mean())

    def describe(self, objective_s: float) -> dict[str, Any]:
        """Return the figures."""
        right = self.records[self.records["right"] == 1]
        statuses, counts = np.unique(self.records["status"], return_counts=True)
        return {
            "within_objective": self.share_within(objective_s),
            "errors": self.errors,
            "statuses": {str(status): int(count) for status, count in zip(statuses, counts, strict=True)},
            "latency_ms": _percentiles(right["latency_us"]),
            "sent_late_ms": _percentiles(self.records["late_us"]),
            "loader": self.summary,
        }


class Loader:
    """Loads one server.

    Args:
        folder: For the program and its files.
        requests: Whole requests and the bodies that they must be answered with; they are sent in turn.

    Raises:
        LoaderError: there is no C compiler, or it fails.
    """

    def __init__(self, folder: Path, requests: Sequence[tuple[bytes, bytes]]) -> None:
        self._folder = folder
        self._program = folder / "loader"
        self._requests = folder / "requests"
        self._requests.write_bytes(b"".join(_record(*request) for request in requests))
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise LoaderError("no C compiler: the load generator is built on the spot; install gcc")
        _run([compiler, "-O2", "-o", str(self._program), str(SOURCE)], 120)

    def open_loop(self, port: int, due_s: Sequence[float], *, connections: int) -> Measured:
        """Send requests at these times, in seconds from now, ascending; return what became of them."""
        schedule = self._folder / "schedule"
        schedule.write_bytes(array("Q", (round(due * 1e9) for due in due_s)).tobytes())
        return self._load(port, connections, "open", str(schedule), due_s[-1])

    def closed_loop(self, port: int, seconds: float, *, connections: int) -> Measured:
        """Keep one request in flight on each connection for some time."""
        return self._load(port, connections, "closed", f"{seconds:g}", seconds)

    def _load(self, port: int, connections: int, mode: str, argument: str, seconds: float) -> Measured:
        results = self._folder / "results"
        command = [str(self._program), str(port), str(connections), mode, argument]
        output = _run([*command, str(self._requests), str(results)], seconds + 120)
        return Measured(np.fromfile(results, RECORD), json.loads(output))


def _record(request: bytes, answer: bytes) -> bytes:
    return array("I", [len(request), len(answer)]).tobytes() + request + answer


def _run(command: list[str], timeout_s: float) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode != 0:
        raise LoaderError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _percentiles(values_us: np.ndarray[Any, Any]) -> dict[str, float]:
    if not len(values_us):
        return {}
    found = np.percentile(values_us, PERCENTILES) / 1000
    shown = {f"p{rank:g}": round(float(value), 3) for rank, value in zip(PERCENTILES, found, strict=True)}
    return {**shown, "max": round(float(values_us.max()) / 1000, 3)}
