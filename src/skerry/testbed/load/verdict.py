"""From what a recorder has seen to a result, and to what a reader is warned of."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from skerry.testbed.load.exchange import OWN_FAULTS
from skerry.testbed.load.plan import ArrivalPlan, Plan
from skerry.testbed.load.recorder import LATE_NS, Recorder
from skerry.testbed.load.result import Errors, LoadResult, Moment, Times
from skerry.testbed.load.target import Target

# More late requests than this, and the generator has not kept its schedule.
_LATE_RATIO = 0.01
# The generator's own share of a median latency that is worth a word.
_OWN_RATIO = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a run beside its requests.

    Args:
        started_at: Unix seconds.
        warm_up_s: Length of the warm-up.
        ended_ns: When it ended, by `time.monotonic_ns`.
        interrupted: Whether it was stopped before its end.
        connections_opened: In the whole run.
        cpu_ratio: Share of one processor that the generator used.
    """

    started_at: float
    warm_up_s: float
    ended_ns: int
    interrupted: bool
    connections_opened: int
    cpu_ratio: float


def judge(plan: Plan, target: Target, recorder: Recorder, about: Circumstances) -> LoadResult:
    """Return the result of a run."""
    planned_end_ns = recorder.start_ns + round(plan.duration_s * 1e9)
    plan_end_ns = min(planned_end_ns, about.ended_ns) if about.interrupted else planned_end_ns
    measured_s = max((max(plan_end_ns, recorder.last_end_ns) - recorder.measured_from_ns) / 1e9, 1e-9)
    sending_s = max((plan_end_ns - recorder.measured_from_ns) / 1e9, 1e-9)
    planned = _count_planned(plan, recorder, plan_end_ns)
    late_ratio = recorder.late / recorder.sent if recorder.sent else 0.0
    own_faults = recorder.never_sent + sum(recorder.failures[fault.value] for fault in OWN_FAULTS)
    latency, lateness = Times.of(recorder.latency), Times.of(recorder.lateness)
    kept = not own_faults and late_ratio <= _LATE_RATIO
    return LoadResult(
        target=target.name,
        loop="open" if isinstance(plan, ArrivalPlan) else "closed",
        plan=plan.name,
        settings=dict(plan.settings),
        started_at=about.started_at,
        duration_s=plan.duration_s,
        warm_up_s=about.warm_up_s,
        warm_up_requests=recorder.warm_up_requests,
        measured_s=measured_s,
        interrupted=about.interrupted,
        planned=planned,
        sent=recorder.sent,
        succeeded=recorder.succeeded,
        asked_per_s=None if planned is None else planned / sending_s,
        sent_per_s=recorder.sent / sending_s,
        achieved_per_s=recorder.succeeded / measured_s,
        latency=latency,
        service_time=Times.of(recorder.service),
        error_latency=Times.of(recorder.error_latency),
        lateness=lateness,
        kept_schedule=kept,
        late_ratio=late_ratio,
        errors=Errors(
            by_kind=dict(recorder.failures.most_common()),
            by_status={str(status): n for status, n in sorted(recorder.statuses.items()) if status >= 400},
            by_code=dict(recorder.codes.most_common()),
            messages=dict(recorder.messages),
        ),
        most_in_flight=recorder.most_in_flight,
        connections_opened=about.connections_opened,
        generator_cpu_ratio=about.cpu_ratio,
        warnings=tuple(_warnings(recorder, kept, late_ratio, own_faults, latency, lateness)),
        interval_s=recorder.interval_ns / 1e9,
        timeline=_timeline(plan, recorder),
    )


def _warnings(  # each is one of the figures that a warning names
    recorder: Recorder, kept: bool, late_ratio: float, own_faults: int, latency: Times, lateness: Times
) -> list[str]:
    found = []
    if not kept:
        late = f"{late_ratio:.1%} of the requests were sent more than {LATE_NS / 1e6:g} ms late"
        dropped = f", and {own_faults:,} were not sent at all" if own_faults else ""
        found.append(
            f"the generator did not keep its schedule: {late}{dropped}; the latencies are its own as much as the "
            "target's. Ask for less, or give it a processor of its own"
        )
    elif latency.p50_s and lateness.p50_s and lateness.p50_s > _OWN_RATIO * latency.p50_s:
        found.append(
            f"of the median latency of {latency.p50_s * 1e3:.3g} ms, {lateness.p50_s * 1e3:.3g} ms are the generator's "
            "own lateness; the service time is without them"
        )
    total = recorder.succeeded + recorder.failed_total
    if recorder.failed_total and total:
        found.append(
            f"{recorder.failed_total:,} of {total:,} requests failed; the latencies are those of the others, and "
            "say nothing of these"
        )
    if not total:
        found.append("no request ended after the warm-up, so there are no figures")
    return found


def _count_planned(plan: Plan, recorder: Recorder, end_ns: int) -> int | None:
    if not isinstance(plan, ArrivalPlan):
        return None
    # As the driver does: the plan's times, from the start of the run.
    first = bisect_left(plan.offsets_ns, recorder.measured_from_ns - recorder.start_ns)
    return max(0, bisect_left(plan.offsets_ns, end_ns - recorder.start_ns) - first)


def _timeline(plan: Plan, recorder: Recorder) -> tuple[Moment, ...]:
    step_ns = recorder.interval_ns
    moments = []
    for index, interval in enumerate(recorder.intervals):
        asked: float | None = None
        if isinstance(plan, ArrivalPlan):
            first = bisect_left(plan.offsets_ns, index * step_ns)
            asked = (bisect_left(plan.offsets_ns, (index + 1) * step_ns) - first) / step_ns * 1e9
        times = interval.latency
        p50, p99 = times.percentiles_s((0.5, 0.99)) if times.count else (None, None)
        moments.append(
            Moment(
                start_s=index * step_ns / 1e9,
                asked_per_s=asked,
                sent_per_s=interval.sent / step_ns * 1e9,
                succeeded_per_s=interval.succeeded / step_ns * 1e9,
                failed_per_s=interval.failed / step_ns * 1e9,
                p50_s=p50,
                p99_s=p99,
            )
        )
    return tuple(moments)
