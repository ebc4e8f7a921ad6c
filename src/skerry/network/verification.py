"""Whether an action does what it was taken for: one part of the loop, to be replaced where a better one is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from skerry.network.detection import Decision, Reading


class Finding(StrEnum):
    """What a verification has found so far."""

    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"


# Is told what was decided and what the rule has dropped since; it may look at the network by itself.
Verification = Callable[[Decision, Sequence[Reading]], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectVerification:
    """Passes when a rule drops a good part of what the attack sent, and the service is still there.

    Attributes:
        least_ratio: Which share of the attack's packets per second it has to drop.
        least_span_s: For how long it is looked at, at least.
        least_countable_per_s: Packets per second of an attack below which a counter says nothing in so short a time: a
            slow attack sends every few seconds. Its rule passes when it is in force and the service answers.
        probe: Asks the service that is defended, and returns whether it answers; None asks nobody.
    """

    least_ratio: float = 0.2
    least_span_s: float = 0.2
    least_countable_per_s: float = 250.0
    probe: Callable[[], bool] | None = None

    def __call__(self, decision: Decision, readings: Sequence[Reading]) -> Finding:
        """Return what the counter and the probe say so far."""
        if self.probe is not None and not self.probe():
            return Finding.FAILED
        span_s = readings[-1].at_s - readings[0].at_s
        if len(readings) < 2 or span_s <= 0 or span_s < self.least_span_s:
            return Finding.OPEN
        if decision.attack_per_s < self.least_countable_per_s:
            return Finding.PASSED
        dropped_per_s = (readings[-1].packets - readings[0].packets) / span_s
        wanted_per_s = self.least_ratio * decision.attack_per_s * decision.stopped_ratio
        return Finding.PASSED if dropped_per_s >= wanted_per_s else Finding.OPEN
