"""Whether a new version gets more of the traffic, all of it, or none: a pure policy.

It is asked about once a second, with what both versions have answered since the present step began, and answers with
what to do and why. The rules:

* **Rollback** as soon as the candidate is shown to be bad: the *lower* bound of its ratio of errors is above what is
  allowed, or its agreement, its refusals or its latency are beyond theirs in the same sense. It does not wait for
  ``min_requests``, but `FEWEST` bad answers there must be. The bounds leave 0.13 % on their side, since the question is
  asked again and again, and chance would have its say often enough.
* **Advance**, or promote after the last step, only when it is shown to be good: the step has lasted, ``min_requests``
  are there, and the *upper* bound of the errors is within what is allowed (2.5 % are left on that side). So
  ``max_error_ratio=0.01`` wants 381 answers without an error. Agreement is not asked for in a step in which the
  candidate gets everything: nobody is left to be compared with, and the steps before have shown it.
* Else **wait**, but no longer than ``max_duration``: what has not been shown to be good by then is rolled back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from skerry.errors import SpecError
from skerry.scaling.evidence import LaneStatistics, wilson_bounds
from skerry.spec.option import build, check_range, check_types, option
from skerry.spec.quantity import parse_duration

FEWEST = 5  # bad answers that say something; one or two may be anything
SURE_Z = 3.0  # standard deviations, to roll back
SHOWN_Z = 1.96  # to advance
LEAST_RATIO = 1e-4  # no number of answers shows that there will never be an error
QUANTILES = (0.5, 0.95)
Action = Literal["wait", "advance", "promote", "rollback"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """What decides about a candidate.

    Example:
        ``Rollout(steps=(0.1, 0.5), min_requests=200, max_error_ratio=0.02, max_duration="30m")``
    """

    steps: tuple[float, ...] = option(
        "shares of the traffic, one after the other, 0 to 1", default=(0.05, 0.25, 0.5, 1)
    )
    min_requests: int = option("fewest answers of the candidate in each step", default=100)
    step_duration: str = option("time that each step lasts at least", default="10s")
    max_error_ratio: float = option("most 5xx among the candidate's answers", default=0.01)
    max_latency_ratio: float | None = option(
        "most that the p50 and p95 of the handler's time may be of the stable version's; none leaves time out",
        default=2.0,
    )
    min_agreement_ratio: float | None = option(
        "fewest mirrored requests that both versions answer alike; none to leave agreement out", default=None
    )
    max_duration: str = option("time after which what was not shown to be good is rolled back", default="1h")

    step_duration_s: float = field(init=False)
    max_duration_s: float = field(init=False)

    def __post_init__(self) -> None:
        check_types(self)
        if not self.steps or list(self.steps) != sorted(set(self.steps)):
            raise SpecError(
                f"steps = {list(self.steps)}: must be one or more shares, each above the one before", field="steps"
            )
        for share in self.steps:
            check_range("steps", share, low=0.0, high=1.0)
        check_range("min_requests", self.min_requests, low=1, high=10**9)
        check_range("max_error_ratio", self.max_error_ratio, low=LEAST_RATIO, high=1.0)
        if self.min_agreement_ratio is not None:
            check_range("min_agreement_ratio", self.min_agreement_ratio, low=0.0, high=1.0 - LEAST_RATIO)
        if self.max_latency_ratio is not None:
            check_range("max_latency_ratio", self.max_latency_ratio, low=1.0)
        step_s = parse_duration(self.step_duration, key="step_duration")
        most_s = parse_duration(self.max_duration, key="max_duration")
        if most_s <= 0:
            raise SpecError(f"max_duration = {self.max_duration!r}: must be above 0", field="max_duration")
        object.__setattr__(self, "step_duration_s", step_s)
        object.__setattr__(self, "max_duration_s", most_s)

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, where: str) -> Rollout:
        """Return the options that plain values state.

        Args:
            values: Option name to value; ``steps`` may be a list.
            where: Where the values come from, for the message.

        Raises:
            SpecError: an option is unknown, of a wrong type or out of range.
        """
        steps = values.get("steps")
        return build(cls, {**values, "steps": tuple(steps)} if isinstance(steps, list) else values, where=where)

    def share(self, number: int) -> float:
        """Return the share of a step, 0 to 1; that of the last one for those behind it."""
        return self.steps[min(number, len(self.steps) - 1)]

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain values."""
        derived = ("step_duration_s", "max_duration_s")
        values = {key: value for key, value in asdict(self).items() if key not in derived}
        return {**values, "steps": list(self.steps)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a rollout is.

    Args:
        number: The step, from 0.
        began_s: When it began, by the clock that the policy is asked with.
        rollout_began_s: When the first step began.
    """

    number: int
    began_s: float
    rollout_began_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutDecision:
    """What to do.

    Args:
        action: What.
        reason: Why, for people.
    """

    action: Action
    reason: str


def decide(
    options: Rollout, stable: LaneStatistics, candidate: LaneStatistics, step: Step, now_s: float
) -> RolloutDecision:
    """Return what to do with a candidate.

    Args:
        options: What is allowed and wanted.
        stable: What the stable version has answered since the step began; empty where it gets nothing any more.
        candidate: What the candidate has.
        step: Where the rollout is.
        now_s: Now.

    Source: bounds by Wilson's interval and by order statistics; see `evidence`.
    """
    fault = _fault(options, stable, candidate)
    if fault is not None:
        return RolloutDecision(action="rollback", reason=fault)
    missing = _missing(options, stable, candidate, now_s - step.began_s)
    if missing is None and options.share(step.number) < 1:
        missing = _unshown_agreement(options, candidate)
    if missing is None:
        shown = f"{candidate.requests} answers, {candidate.errors} errors"
        if step.number + 1 >= len(options.steps):
            return RolloutDecision(action="promote", reason=f"shown to be good: {shown}")
        return RolloutDecision(action="advance", reason=f"step {step.number + 1} shown to be good: {shown}")
    if now_s - step.rollout_began_s >= options.max_duration_s:
        return RolloutDecision(
            action="rollback", reason=f"not shown to be good within {options.max_duration}: {missing}"
        )
    return RolloutDecision(action="wait", reason=missing)


def _fault(options: Rollout, stable: LaneStatistics, candidate: LaneStatistics) -> str | None:
    """Return what is certainly wrong with a candidate."""
    requests, errors = candidate.requests, candidate.errors
    if errors >= FEWEST and wilson_bounds(errors, requests, SURE_Z)[0] > options.max_error_ratio:
        return f"{errors} of {requests} answers were errors, and {options.max_error_ratio:.2%} are allowed"
    refusals = candidate.refusals
    beyond = _refused_ratio(stable, SURE_Z) + options.max_error_ratio
    if refusals >= FEWEST and wilson_bounds(refusals, requests, SURE_Z)[0] > beyond:
        return (
            f"{refusals} of {requests} requests were refused as wrong, "
            f"{stable.refusals} of {stable.requests} by the stable version"
        )
    if options.min_agreement_ratio is not None:
        apart = candidate.comparisons - candidate.agreements
        high = wilson_bounds(candidate.agreements, candidate.comparisons, SURE_Z)[1]
        if apart >= FEWEST and high < options.min_agreement_ratio:
            return (
                f"{apart} of {candidate.comparisons} answers differ, and {options.min_agreement_ratio:.2%} must agree"
            )
    return _slowness(options, stable, candidate)


def _slowness(options: Rollout, stable: LaneStatistics, candidate: LaneStatistics) -> str | None:
    """Return what is certainly too slow."""
    if options.max_latency_ratio is None or min(candidate.runs, stable.runs) < FEWEST:
        return None
    for ratio in QUANTILES:
        ours, theirs = candidate.latency_bounds_s(ratio, SURE_Z), stable.latency_bounds_s(ratio, SURE_Z)
        if ours is not None and theirs is not None and ours[0] > options.max_latency_ratio * theirs[1]:
            return f"{_latencies(ratio, stable, candidate)}: more than {options.max_latency_ratio:g} times as long"
    return None


def _missing(options: Rollout, stable: LaneStatistics, candidate: LaneStatistics, lasted_s: float) -> str | None:
    """Return what keeps a candidate from being shown to be good."""
    requests = candidate.requests
    if lasted_s < options.step_duration_s:
        return f"the step lasts {options.step_duration}"
    if requests < options.min_requests:
        return f"{requests} of {options.min_requests} answers are there"
    if wilson_bounds(candidate.errors, requests, SHOWN_Z)[1] > options.max_error_ratio:
        return (
            f"{candidate.errors} errors in {requests} answers do not show that they are {options.max_error_ratio:.2%}"
        )
    if stable.requests and candidate.refusals / requests > _refused_ratio(stable, SHOWN_Z) + options.max_error_ratio:
        return f"{candidate.refusals} of {requests} requests were refused as wrong: more than by the stable version"
    return _seeming_slowness(options, stable, candidate)


def _unshown_agreement(options: Rollout, candidate: LaneStatistics) -> str | None:
    """Return what keeps a candidate from being shown to answer like the stable version."""
    wanted, comparisons = options.min_agreement_ratio, candidate.comparisons
    if wanted is None or wilson_bounds(candidate.agreements, comparisons, SHOWN_Z)[0] >= wanted:
        return None
    return f"{candidate.agreements} of {comparisons} compared answers agree: that does not show {wanted:.2%}"


def _seeming_slowness(options: Rollout, stable: LaneStatistics, candidate: LaneStatistics) -> str | None:
    """Return what seems too slow, be it by chance."""
    if options.max_latency_ratio is None:
        return None
    for ratio in QUANTILES:
        ours, theirs = candidate.latency_s(ratio), stable.latency_s(ratio)
        if ours is not None and theirs is not None and ours > options.max_latency_ratio * theirs:
            return f"{_latencies(ratio, stable, candidate)}: it seems slow"
    return None


def _refused_ratio(stable: LaneStatistics, z: float) -> float:
    """Return the most that the stable version refuses, as far as is known; nothing is known of one without answers."""
    return wilson_bounds(stable.refusals, stable.requests, z)[1]


def _latencies(ratio: float, stable: LaneStatistics, candidate: LaneStatistics) -> str:
    ours, theirs = candidate.latency_s(ratio) or 0.0, stable.latency_s(ratio) or 0.0
    return f"p{ratio * 100:.0f} is {ours * 1000:.3g} ms, the stable version's {theirs * 1000:.3g} ms"
