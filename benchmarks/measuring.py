"""What all benchmarks share: facts about the machine, spreads, and where results go."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


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
