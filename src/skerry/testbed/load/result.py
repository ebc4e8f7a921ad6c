"""What a run has found, as values that never change and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from skerry.testbed.load.histogram import Histogram

# The points of a percentile curve: as many nines as runs can fill.
CURVE = (
    *(round(0.05 * i, 2) for i in range(1, 19)),
    *(0.925, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999, 0.9995, 0.9999, 0.99999, 1.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long something took, over many requests; None where there were none.

    Args:
        count: Requests.
        mean_s, min_s, max_s: Exact, in seconds.
        p50_s, p90_s, p95_s, p99_s, p999_s: Percentiles, each known to 0.05 %.
        curve: Pairs of a share and its percentile in seconds; shares finer than one request are left out.
    """

    count: int
    mean_s: float | None
    min_s: float | None
    max_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    p999_s: float | None
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, histogram: Histogram) -> Times:
        """Return the figures of a histogram."""
        p50, p90, p95, p99, p999 = histogram.percentiles_s((0.5, 0.9, 0.95, 0.99, 0.999))
        # A share that ends within the slowest request says nothing that 1.0 does not say.
        shares = [share for share in CURVE if share == 1.0 or (1 - share) * histogram.count >= 1]
        curve = tuple(zip(shares, histogram.percentiles_s(shares), strict=True)) if histogram.count else ()
        return cls(
            count=histogram.count,
            mean_s=_number(histogram.mean_s),
            min_s=_number(histogram.min_s),
            max_s=_number(histogram.max_s),
            p50_s=_number(p50),
            p90_s=_number(p90),
            p95_s=_number(p95),
            p99_s=_number(p99),
            p999_s=_number(p999),
            curve=curve,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Requests without a good answer, by kind.

    Args:
        by_kind: ``status_4xx``, ``status_5xx``, ``timeout``, ``connection_refused``, ``cannot_connect``,
            ``connection_lost``, ``bad_answer``; ``dropped_...``: never sent, by a fault of the generator.
        by_status: Requests by status, of those whose status is an error.
        by_code: Requests by the ``code`` of Skerry's error body.
        messages: For each code, what the first such answer said.
    """

    by_kind: Mapping[str, int] = field(default_factory=dict)
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_code: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.by_kind.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One interval of a run, warm-up included.

    Args:
        start_s: When it began, from the start of the run.
        asked_per_s: Requests per second that the plan has in it; None in a closed loop.
        sent_per_s: Requests per second that were sent in it.
        succeeded_per_s: Good answers per second that came in it.
        failed_per_s: Requests per second that failed in it.
        p50_s, p99_s: Latency of the requests that were to be sent in it.
    """

    start_s: float
    asked_per_s: float | None
    sent_per_s: float
    succeeded_per_s: float
    failed_per_s: float
    p50_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What became of the requests of a run; those of the warm-up are in the timeline only.

    Args:
        target: What was asked.
        loop: ``open`` or ``closed``. A closed loop hides waiting: see `ClientPlan`.
        plan: Name of the plan.
        settings: What the plan was made from.
        started_at: Unix seconds.
        duration_s: How long the plan takes, warm-up included.
        warm_up_s: Length of the warm-up.
        warm_up_requests: Requests of the warm-up.
        measured_s: From the end of the warm-up to the end of the plan, or to the last answer when that came later.
        interrupted: Whether it was stopped before its end.
        planned: Requests of the plan after the warm-up; None in a closed loop.
        sent: Requests that were sent.
        succeeded: Answers with a status below 400.
        asked_per_s: Requests per second of the plan; None in a closed loop.
        sent_per_s: Requests per second that were sent.
        achieved_per_s: Good answers per second.
        latency: From the moment at which a request was to be sent to its answer; of good answers.
        service_time: From the moment at which it was sent.
        error_latency: As latency, of requests that failed.
        lateness: From the moment at which a request was to be sent to the one at which it was.
        kept_schedule: Whether the generator was in time; if not, the figures say more of it than of the target.
        late_ratio: Share of requests that were sent more than 5 ms late.
        errors: Requests without a good answer.
        most_in_flight: Requests that were on their way at the same time, at most; warm-up included.
        connections_opened: Connections that were opened in the whole run.
        generator_cpu_ratio: Share of one processor that the generator used.
        warnings: What a reader must know before using the figures.
        interval_s: Length of one interval of the timeline.
        timeline: The run, interval by interval.
    """

    target: str
    loop: str
    plan: str
    settings: Mapping[str, Any]
    started_at: float
    duration_s: float
    warm_up_s: float
    warm_up_requests: int
    measured_s: float
    interrupted: bool
    planned: int | None
    sent: int
    succeeded: int
    asked_per_s: float | None
    sent_per_s: float
    achieved_per_s: float
    latency: Times
    service_time: Times
    error_latency: Times
    lateness: Times
    kept_schedule: bool
    late_ratio: float
    errors: Errors
    most_in_flight: int
    connections_opened: int
    generator_cpu_ratio: float
    warnings: tuple[str, ...]
    interval_s: float
    timeline: tuple[Moment, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; the unit of each is in its name."""
        return asdict(self)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
