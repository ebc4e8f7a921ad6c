"""What one run of the demo found, as its terminal story and its report tell it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving import Measurements
from training import Contender

import skerry
from skerry.learn.search import Dataset, SearchResult
from skerry.store.models import Manifest

LIBRARIES = ("numpy", "scikit-learn", "skl2onnx", "onnxruntime", "matplotlib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The whole search with one number of workers: how long it took, and what it answered."""

    workers: int
    wall_s: float
    results: Mapping[str, SearchResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One held-out row with its true label and the one that the serving function gave."""

    row: Any
    truth: str
    served: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """Everything that a run found, filled in step by step.

    Args:
        source: Where the data come from, for people.
        data: The shared data set.
        competing: What was searched.
    """

    source: str
    data: Dataset
    competing: Sequence[Contender]
    arms: list[Arm] = field(default_factory=list)
    arrays_compared: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)
    winner: str = ""
    model: Manifest | None = None
    measured: Measurements = field(default_factory=Measurements)
    samples: list[Sample] = field(default_factory=list)
    memory_bytes: Mapping[str, int] = field(default_factory=dict)

    @property
    def fits(self) -> int:
        """How many models one search fits, the refits on all its rows not counted."""
        result = next(iter(self.results.values()))
        folds = sum(name.startswith("split") for name in result.cv_results)
        return sum(each.candidates for each in self.competing) * folds

    @property
    def results(self) -> Mapping[str, SearchResult]:
        """The answers of the search, which are the same in every arm."""
        return self.arms[0].results

    @property
    def speed_up(self) -> float:
        """How many times faster the last arm was than the first."""
        return self.arms[0].wall_s / self.arms[-1].wall_s

    @property
    def mistakes(self) -> int:
        """How many of the held-out rows the served model got wrong."""
        return sum(sample.truth != sample.served for sample in self.samples)

    @property
    def test_score(self) -> float:
        """Share of the held-out rows that the served model got right, in [0, 1]."""
        return 1 - self.mistakes / len(self.samples)

    @property
    def surprises(self) -> int:
        """How many served answers differ from what the model said before it was exported; 0 unless something broke."""
        return sum(not call.correct for call in self.measured.calls)


def surroundings() -> dict[str, str]:
    """Return what the run ran on: machine, system and versions."""
    found = {
        "machine": f"{_processor()}, {os.cpu_count()} processors, {_memory_bytes() / 2**30:.1f} GiB memory",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Skerry": skerry.__version__,
    }
    return {**found, **{name: version(name) for name in LIBRARIES}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
