"""Which of a model's variants answers a request: the cheapest that is quick and right enough.

Source: Romero et al., "INFaaS: Automated Model-less Inference Serving" (USENIX ATC 2021): a
caller states a latency and an accuracy, and the system picks among variants of one model that were profiled. Where this
differs:

* There is one machine, so cost is what a variant takes of it: memory that is not taken yet, and time of the processor.
* Profiles are measured, never declared: one that was measured too long ago is not used.
* Where no variant is good enough, the answer says what each lacks, rather than one that is nearly good enough.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OLDEST_S = 30 * 86400.0  # of a profile: machines and libraries change
BYTE_SECONDS = 2.0**30  # a GiB weighs as much as a second of a processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One form of a model, and what was measured of it on this machine.

    Args:
        name: Its name: a version, or what was done to it.
        latency_s: Seconds that a batch takes, by its size; sizes from 1, seconds above 0; not empty.
        accuracy_ratio: Share of right answers on given data, 0 to 1; none where it was not measured.
        memory_bytes: What a worker of it takes, at least 0.
        load_s: Seconds until it answers, when it is not loaded.
        measured_at: When, Unix time.
        is_loaded: Whether a worker of it is ready.
    """

    name: str
    latency_s: Mapping[int, float]
    accuracy_ratio: float | None
    memory_bytes: int
    load_s: float
    measured_at: float
    is_loaded: bool = False

    def batch_s(self, size: int) -> float:
        """Return how long a batch takes, by the straight line between the sizes that were measured.

        Beyond the largest one, each item costs what it costs there on average; below the smallest, as much as that one.

        Args:
            size: Items, at least 1.
        """
        sizes = sorted(self.latency_s)
        above = next((known for known in sizes if known >= size), None)
        if above is None:
            return self.latency_s[sizes[-1]] * size / sizes[-1]
        below = max((known for known in sizes if known <= size), default=above)
        if below == above:
            return self.latency_s[above]
        part = (size - below) / (above - below)
        return self.latency_s[below] + part * (self.latency_s[above] - self.latency_s[below])

    def answer_s(self, size: int) -> float:
        """Return how long a request of so many items takes, loading included where that is to be done."""
        return self.batch_s(size) + (0.0 if self.is_loaded else self.load_s)

    def cost_s(self, size: int) -> float:
        """Return what a request costs the machine, in seconds of a processor.

        A variant that is loaded takes no further memory; one that is not is loaded for this request.
        """
        if self.is_loaded:
            return self.batch_s(size)
        return self.batch_s(size) + self.load_s + self.memory_bytes / BYTE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen.

    Args:
        variant: The cheapest that is good enough, none where there is none.
        reasons: For each of the others, why not.
    """

    variant: Variant | None
    reasons: Mapping[str, str]

    def explain(self) -> str:
        """Return why no variant is good enough, for people."""
        return "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())


def choose(
    variants: Sequence[Variant], objective_s: float, accuracy_floor: float | None, now_s: float, *, size: int = 1
) -> Choice:
    """Return the cheapest variant that meets an objective and an accuracy.

    Args:
        variants: What there is; names are unique.
        objective_s: Seconds in which the answer is wanted, above 0.
        accuracy_floor: Least share of right answers, 0 to 1; none where any will do.
        now_s: Unix time.
        size: Items of the request, at least 1.

    Returns:
        The choice. Of equally cheap ones it is the more accurate, then the one whose name comes first.

    Example:
        ``choose([full, quantised], 0.05, 0.97, time.time()).variant``
    """
    reasons: dict[str, str] = {}
    fit: list[Variant] = []
    for variant in variants:
        reason = _lack(variant, objective_s, accuracy_floor, now_s, size)
        if reason is None:
            fit.append(variant)
        else:
            reasons[variant.name] = reason
    if not fit:
        return Choice(variant=None, reasons=reasons or {"model": "it has no variants"})
    best = min(fit, key=lambda one: (one.cost_s(size), -(one.accuracy_ratio or 0.0), one.name))
    cost_s = best.cost_s(size)
    for variant in fit:
        if variant is not best:
            reasons[variant.name] = f"costs {variant.cost_s(size):.3g} s, {best.name} {cost_s:.3g} s"
    return Choice(variant=best, reasons=reasons)


def _lack(variant: Variant, objective_s: float, floor: float | None, now_s: float, size: int) -> str | None:
    """Return what a variant lacks."""
    if not variant.latency_s or not all(0 < taken_s < math.inf for taken_s in variant.latency_s.values()):
        return "its latency was not measured"
    if now_s - variant.measured_at > OLDEST_S:
        return f"it was measured {(now_s - variant.measured_at) / 86400:.0f} days ago; measure it again"
    if floor is not None and variant.accuracy_ratio is None:
        return "its accuracy was not measured"
    if floor is not None and variant.accuracy_ratio is not None and variant.accuracy_ratio < floor:
        return f"{variant.accuracy_ratio:.4g} of its answers are right, and {floor:.4g} are wanted"
    taken_s = variant.answer_s(size)
    if taken_s > objective_s:
        loading = "" if variant.is_loaded else f", {variant.load_s:.3g} s of it to load"
        return f"it takes {taken_s:.3g} s{loading}, and {objective_s:.3g} s are wanted"
    return None
