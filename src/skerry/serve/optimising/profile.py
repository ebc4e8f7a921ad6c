"""What a model costs and how good it is: measured side by side with another, so that both had the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skerry.serve.optimising.data import EvaluationData
from skerry.serve.publishing_session import open_session, run_session

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

OPENS = 15
LARGE_BATCH = 32
_BUDGET_S = 1.0  # for the runs of one batch size, all models together
_MOST_RUNS, _FEWEST_RUNS = 200, 5
_SCORE_ROWS = 256  # rows at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The measured figures of one model.

    Args:
        size_bytes: Length of its file.
        load_ms: Median time to open it in a new session, one thread.
        latency_1_ms: Median time of a run with one row.
        latency_32_ms: Median time of a run with 32 rows.
        score: How good it is, at most 1; what it is, says the comparison.
    """

    size_bytes: int
    load_ms: float
    latency_1_ms: float
    latency_32_ms: float
    score: float

    def to_json(self) -> dict[str, float]:
        """Return the figures as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the files of several models cost, in one order: see `Profile`."""

    load_ms: list[float]
    latency_1_ms: list[float]
    latency_32_ms: list[float]


def measure_costs(files: Sequence[Path], data: EvaluationData) -> Costs:
    """Measure several models in turns, so that what the machine does meanwhile hits all of them alike.

    Args:
        files: The models' ONNX files; all take the same inputs.
        data: Rows to run them with.
    """
    loads: list[list[float]] = [[] for _ in files]
    sessions: list[Any] = [None] * len(files)
    for _ in range(OPENS):
        for number, file in enumerate(files):
            sessions[number] = None  # closing the one before is no part of opening the next
            start = time.perf_counter()
            sessions[number] = open_session(file)
            loads[number].append(time.perf_counter() - start)
    small, large = (_measure_runs(sessions, data.take(rows)) for rows in (1, LARGE_BATCH))
    return Costs(load_ms=[_median_ms(times) for times in loads], latency_1_ms=small, latency_32_ms=large)


def _measure_runs(sessions: Sequence[Any], feeds: Mapping[str, Array]) -> list[float]:
    for session in sessions:
        run_session(session, feeds)  # the first run allocates what the later ones use
    times: list[list[float]] = [[] for _ in sessions]
    began = time.perf_counter()
    for count in range(_MOST_RUNS):
        if count >= _FEWEST_RUNS and time.perf_counter() - began > _BUDGET_S:
            break
        for number, session in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, feeds)
            times[number].append(time.perf_counter() - start)
    return [_median_ms(seconds) for seconds in times]


def predict(file: Path, data: EvaluationData) -> dict[str, Array]:
    """Return a model's outputs for all rows of the data, by name."""
    import numpy as np

    session = open_session(file)
    parts = []
    for start in range(0, len(data), _SCORE_ROWS):
        feeds = {name: array[start : start + _SCORE_ROWS] for name, array in data.feeds.items()}
        parts.append(run_session(session, feeds))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1000
