"""What was asked for about a function's traffic, as it is recorded and as it comes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from skerry.errors import SpecError
from skerry.scaling.rollout import Rollout

ASKED = frozenset({"candidate", "weight_ratio", "mirror", "sample_ratio", "sticky", "automatic"})
SMALLEST_WEIGHT = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficPlan:
    """A candidate and its part of the traffic.

    Args:
        candidate: Its version, at least 1.
        weight_ratio: Its share of the requests, 0 to 1; with ``automatic``, that of the present step.
        mirror: Whether it is sent copies of the stable version's requests.
        sample_ratio: Share of these that is copied, above 0, at most 1.
        sticky: Name of a header whose values stay with one version; none without.
        automatic: What decides about it; none where somebody does.
        step: The rollout's step, from 0.
        began_at: When the rollout began, Unix time.
        step_began_at: When its step began, Unix time.
    """

    candidate: int
    weight_ratio: float = 0.0
    mirror: bool = False
    sample_ratio: float = 1.0
    sticky: str | None = None
    automatic: Rollout | None = None
    step: int = 0
    began_at: float = 0.0
    step_began_at: float = 0.0

    @classmethod
    def asked(cls, body: Mapping[str, Any], *, candidate: int) -> TrafficPlan:
        """Return the plan that a request asks for.

        Args:
            body: The request's members; see `ASKED`.
            candidate: The version that it means.

        Raises:
            SpecError: a member is unknown, of a wrong type or out of range, or they do not go together.
        """
        for key in body:
            if key not in ASKED:
                raise SpecError(f"traffic: unknown member {key!r}; there are: {', '.join(sorted(ASKED))}", field=key)
        mirror = body.get("mirror", False)
        if not isinstance(mirror, bool):
            raise SpecError(f"traffic: mirror = {mirror!r}: must be true or false", field="mirror")
        sticky = body.get("sticky")
        if sticky is not None and not (isinstance(sticky, str) and sticky.isascii() and sticky):
            raise SpecError(f"traffic: sticky = {sticky!r}: must be the name of a header", field="sticky")
        weight = None if body.get("weight_ratio") is None else _ratio(body, "weight_ratio")
        sample = 1.0 if body.get("sample_ratio") is None else _ratio(body, "sample_ratio", low=SMALLEST_WEIGHT)
        automatic = _automatic(body.get("automatic"), weight)
        if automatic is not None:
            weight = automatic.steps[0]
        if not mirror:
            _refuse_blindness(weight, automatic)
        elif automatic is not None and automatic.min_agreement_ratio is not None and automatic.steps[0] >= 1:
            raise SpecError(
                "traffic: min_agreement_ratio compares with a version that still answers; begin with a step below 1",
                field="min_agreement_ratio",
            )
        return cls(
            candidate=candidate,
            weight_ratio=weight or 0.0,
            mirror=mirror,
            sample_ratio=sample,
            sticky=sticky,
            automatic=automatic,
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrafficPlan:
        """Return the plan that `to_dict` has made plain."""
        automatic = values["automatic"]
        rollout = None if automatic is None else Rollout.from_dict(automatic, where="automatic")
        return cls(**{**values, "automatic": rollout})

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "candidate": self.candidate,
            "weight_ratio": self.weight_ratio,
            "mirror": self.mirror,
            "sample_ratio": self.sample_ratio,
            "sticky": self.sticky,
            "automatic": None if self.automatic is None else self.automatic.to_dict(),
            "step": self.step,
            "began_at": self.began_at,
            "step_began_at": self.step_began_at,
        }

    def begun(self, now_s: float) -> TrafficPlan:
        """Return the plan at its first step, from now on."""
        return replace(self, step=0, began_at=now_s, step_began_at=now_s)

    def advanced(self, now_s: float) -> TrafficPlan:
        """Return the plan at its next step, from now on; there is one."""
        step = self.step + 1
        share = self.weight_ratio if self.automatic is None else self.automatic.steps[step]
        return replace(self, step=step, step_began_at=now_s, weight_ratio=share)


def _automatic(options: Any, weight: float | None) -> Rollout | None:
    """Return the options of a rollout; a weight is where it begins."""
    if options is None or options is False:
        return None
    if options is True:
        options = {}
    if not isinstance(options, dict):
        raise SpecError(f"traffic: automatic = {options!r}: must be an object of options, or null", field="automatic")
    rollout = Rollout.from_dict(options, where="automatic")
    if weight is None:
        return rollout
    return replace(rollout, steps=(weight, *(share for share in rollout.steps if share > weight)))


def _refuse_blindness(weight: float | None, automatic: Rollout | None) -> None:
    """Refuse what would never see an answer of the candidate."""
    if not weight:
        raise SpecError(
            "traffic: a candidate without requests and without copies of them does nothing; give it a weight_ratio "
            "above 0, or mirror",
            field="weight_ratio",
        )
    if automatic is not None and automatic.min_agreement_ratio is not None:
        raise SpecError(
            "traffic: min_agreement_ratio compares answers to mirrored requests; set mirror, or leave it out",
            field="min_agreement_ratio",
        )


def _ratio(body: Mapping[str, Any], key: str, *, low: float = 0.0) -> float:
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= 1:
        raise SpecError(f"traffic: {key} = {value!r}: must be a number from {low:g} to 1", field=key)
    return float(value)
