"""What a run looks like while it goes on: small enough to be sent to who draws it, several times per second."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from skerry.testbed.load.pool import Pool
from skerry.testbed.load.recorder import Recorder

# The edges of the little histogram: from 1 µs, four for each tenfold.
EDGES_NS = tuple(round(1_000 * 10 ** (i / 4)) for i in range(33))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run, some time after its start.

    Args:
        elapsed_s: How long it runs.
        warming_up: Whether requests are still left out of the figures.
        asked_per_s: Requests per second that the plan had since the last look; None in a closed loop.
        sent_per_s, achieved_per_s, failed_per_s: The same, sent, answered well and failed.
        in_flight: Requests that are on their way.
        connections: Connections that are open.
        succeeded: Good answers since the warm-up.
        p50_s, p90_s, p99_s, max_s: Latency since the warm-up, or of the warm-up during it; None before any answer.
        late_ratio: Share of requests that the generator sent more than 5 ms late.
        errors: Failed requests since the warm-up, by kind.
        bars: How many latencies lie between the edges of `EDGES_NS`.
    """

    elapsed_s: float
    warming_up: bool
    asked_per_s: float | None
    sent_per_s: float
    achieved_per_s: float
    failed_per_s: float
    in_flight: int
    connections: int
    succeeded: int
    p50_s: float | None
    p90_s: float | None
    p99_s: float | None
    max_s: float | None
    late_ratio: float
    errors: dict[str, int]
    bars: list[int]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


class Watcher:
    """Makes one `Progress` after the other.

    Args:
        recorder: What is looked at.
        pool: Its connections.
    """

    def __init__(self, recorder: Recorder, pool: Pool) -> None:
        self._recorder = recorder
        self._pool = pool
        self._before = (recorder.start_ns, 0, 0, 0, 0)

    def look(self, now_ns: int, planned: int | None) -> Progress:
        """Return how the run stands.

        Args:
            now_ns: By `time.monotonic_ns`.
            planned: Requests of the plan up to now; None in a closed loop.
        """
        recorder = self._recorder
        then_ns, sent_then, good_then, bad_then, planned_then = self._before
        span_s = max((now_ns - then_ns) / 1e9, 1e-3)
        sent, good, bad = recorder.sent_total, recorder.succeeded_total, recorder.ended_badly_total
        self._before = (now_ns, sent, good, bad, planned or 0)
        times = recorder.latency if recorder.latency.count else recorder.warm_up_latency
        p50, p90, p99 = times.percentiles_s((0.5, 0.9, 0.99)) if times.count else (None, None, None)
        return Progress(
            elapsed_s=(now_ns - recorder.start_ns) / 1e9,
            warming_up=now_ns < recorder.measured_from_ns,
            asked_per_s=None if planned is None else (planned - planned_then) / span_s,
            sent_per_s=(sent - sent_then) / span_s,
            achieved_per_s=(good - good_then) / span_s,
            failed_per_s=(bad - bad_then) / span_s,
            in_flight=self._pool.in_flight,
            connections=self._pool.size,
            succeeded=recorder.succeeded,
            p50_s=p50,
            p90_s=p90,
            p99_s=p99,
            max_s=times.max_s if times.count else None,
            late_ratio=recorder.late / recorder.sent if recorder.sent else 0.0,
            errors=dict(recorder.failures.most_common(8)),
            bars=times.coarse(EDGES_NS),
        )
