"""Whether anything grew: a robust slope after a warm-up, against a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.soak.watch import FRONT, WORKER, ZYGOTE, Held, Sample

WARM_UP_RATIO = 0.25  # of the run: caches fill, pools grow to the load's width
LEAST_S = 300.0  # after the warm-up; less says nothing: the run is then reported, not judged
MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much something may grow from the end of the warm-up to the end of the run.

    Args:
        least: That much in any case.
        ratio: Or that much of its median.
    """

    least: float
    ratio: float


# Allocators and the interpreter keep a little more with time; connections and jobs in flight come and go between
# samples. A leak of one object per request is far beyond each of these within half an hour.
LIMITS = {
    "anonymous_bytes": Limit(least=3 * MIB, ratio=0.05),
    "private_bytes": Limit(least=3 * MIB, ratio=0.05),
    "descriptors": Limit(least=3, ratio=0.05),
    "threads": Limit(least=0.5, ratio=0.0),
    "processes": Limit(least=1, ratio=0.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one figure went.

    Args:
        who: Role and process, or all.
        what: Name of the figure.
        median: Its median after the warm-up.
        grown: Robust slope, times the time after the warm-up.
        limit: Most that it may have grown.
        seconds: Time after the warm-up.
    """

    who: str
    what: str
    median: float
    grown: float
    limit: float
    seconds: float

    @property
    def verdict(self) -> str:
        """Return ``kept``, ``GREW``, or ``not judged`` after too short a run."""
        if self.seconds < LEAST_S:
            return "not judged"
        return "kept" if self.grown <= self.limit else "GREW"

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "verdict": self.verdict}


def judge(samples: Sequence[Sample]) -> list[Growth]:
    """Return the growth of every process that was there from the warm-up to the end, and of their number."""
    after = [sample for sample in samples if sample.at_s >= samples[-1].at_s * WARM_UP_RATIO]
    times_s = [sample.at_s for sample in after]
    found = [_growth("all", "processes", times_s, [len(sample.held) for sample in after])]
    lasting = set.intersection(*({(held.role, held.pid) for held in sample.held} for sample in after))
    order = (FRONT, ZYGOTE, WORKER)
    for role, pid in sorted(lasting, key=lambda key: (order.index(key[0]), key[1])):
        rows = [_of(sample, pid) for sample in after]
        for what in ("anonymous_bytes", "private_bytes", "descriptors", "threads"):
            if role == ZYGOTE and what == "private_bytes":
                continue  # what it shares with its children is private while there are none
            found.append(_growth(f"{role} {pid}", what, times_s, [getattr(row, what) for row in rows]))
    return found


def slope(times_s: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope that half of all pairs exceed, per second; 0 for fewer than two.

    Source: Theil-Sen estimator (Sen 1968); a few samples taken at a bad moment do not move it.
    """
    slopes = [
        (values[j] - values[i]) / (times_s[j] - times_s[i])
        for i in range(len(values))
        for j in range(i + 1, len(values))
    ]
    return median(slopes) if slopes else 0.0


def _growth(who: str, what: str, times_s: Sequence[float], values: Sequence[float]) -> Growth:
    limit = LIMITS[what]
    middle = median(values)
    seconds = times_s[-1] - times_s[0]
    return Growth(
        who=who,
        what=what,
        median=middle,
        grown=slope(times_s, values) * seconds,
        limit=max(limit.least, limit.ratio * middle),
        seconds=seconds,
    )


def _of(sample: Sample, pid: int) -> Held:
    return next(held for held in sample.held if held.pid == pid)
