"""What all benchmarks share: facts about the machine, its speed meanwhile, spreads, and where results go."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self

RESULTS = Path(__file__).parent / "results"
PROBE_EVERY_S = 0.01
PROBE_STEPS = 1500  # some 0.1 ms
SLOW_FACTOR = 3.0
AFTER_S = 0.1  # what a slow spell has held up is dealt with after it
_PROBE = struct.Struct("dd")


def facts(packages: Iterable[str]) -> dict[str, Any]:
    """Return where and with what a measurement was made.

    Args:
        packages: Distributions whose versions matter.
    """
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "processor": model,
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[0], 2),
        "versions": {name: metadata.version(name) for name in packages},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles and extremes of at least one value."""
    ordered = sorted(values)
    quartiles = statistics.quantiles(ordered, n=4) if len(ordered) > 1 else [ordered[0]] * 3
    return {
        "median": statistics.median(ordered),
        "p25": quartiles[0],
        "p75": quartiles[2],
        "min": ordered[0],
        "max": ordered[-1],
        "n": float(len(ordered)),
    }


def cpu_s() -> float:
    """Return the processor time of this process and its ended children, in seconds."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def line(name: str, values: dict[str, float], unit: str) -> str:
    """Return a spread as one line of a table."""
    return (
        f"{name:32s} median {values['median']:9.2f} {unit}   "
        f"[{values['p25']:.2f} - {values['p75']:.2f}]   min {values['min']:.2f}   max {values['max']:.2f}   "
        f"n = {values['n']:.0f}"
    )


def save(name: str, result: dict[str, Any]) -> Path:
    """Write a result to ``benchmarks/results/NAME.json`` and return the path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    return path


class Probe(NamedTuple):
    """A fixed piece of work: when it began, Unix time, and the processor time that it took, both seconds."""

    at_s: float
    took_s: float


class Spells(NamedTuple):
    """Times in which the machine was slow, and what came right after them, seconds of Unix time."""

    begins_s: list[float]
    ends_s: list[float]

    def touch(self, at_s: float, *, before_s: float = 0.0) -> bool:
        """Return whether a moment is in one of them, or so shortly before."""
        place = bisect_left(self.ends_s, at_s)
        return place < len(self.begins_s) and self.begins_s[place] - before_s <= at_s


class SpeedWatch:
    """Watches how fast the machine runs, in a process of its own, while the block runs: a control beside the figures.

    The host of a virtual machine may slow its processors down many times for some moments. Every 10 ms a fixed piece of
    work is timed by the processor time of its thread, which other programs here do not change; that costs 1 to 2 % of a
    processor. A moment is slow where the work takes more than three times its lower quartile.
    """

    def __enter__(self) -> Self:
        self._file = tempfile.NamedTemporaryFile(prefix="skerry-speed-")
        command = [sys.executable, "-m", "benchmarks.measuring", self._file.name]
        self._process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._file.close()

    def probes(self) -> list[Probe]:
        """Return what was measured so far."""
        data = Path(self._file.name).read_bytes()
        return [Probe(*one) for one in _PROBE.iter_unpack(data[: len(data) // _PROBE.size * _PROBE.size])]

    def slow_ratio(self, began_s: float, ended_s: float) -> float | None:
        """Return at which share of the moments between two times (Unix) the machine ran at less than a third."""
        return slow_ratio(self.probes(), began_s, ended_s)


def slow_moments(probes: Sequence[Probe]) -> list[bool]:
    """Return for each probe whether it took more than three times their lower quartile."""
    if not probes:
        return []
    usual_s = sorted(one.took_s for one in probes)[len(probes) // 4]
    return [one.took_s > SLOW_FACTOR * usual_s for one in probes]


def slow_ratio(probes: Sequence[Probe], began_s: float, ended_s: float) -> float | None:
    """Return the share of slow moments between two times; None without a probe there. All probes say what is usual."""
    moments = [slow for one, slow in zip(probes, slow_moments(probes), strict=True) if began_s <= one.at_s <= ended_s]
    return sum(moments) / len(moments) if moments else None


def slow_spells(probes: Sequence[Probe], *, after_s: float = AFTER_S) -> Spells:
    """Return the slow moments, each from the probe before it until some time after the next one that is not slow."""
    spells = Spells([], [])
    for (before, one), slow in zip(pairwise(probes), slow_moments(probes)[1:], strict=True):
        if not slow:
            continue
        end_s = one.at_s + one.took_s + PROBE_EVERY_S + after_s
        if spells.ends_s and before.at_s <= spells.ends_s[-1]:
            spells.ends_s[-1] = end_s
        else:
            spells.begins_s.append(before.at_s)
            spells.ends_s.append(end_s)
    return spells


def probe_speed(path: str) -> None:
    """Write probes to a file until killed, or until the process that asked for them has ended."""
    asked_by = os.getppid()
    with open(path, "ab", buffering=0) as file:
        while os.getppid() == asked_by:
            at_s, began_s, total = time.time(), time.thread_time(), 0
            for number in range(PROBE_STEPS):
                total += number * number
            file.write(_PROBE.pack(at_s, time.thread_time() - began_s))
            time.sleep(PROBE_EVERY_S)


if __name__ == "__main__":
    probe_speed(sys.argv[1])
