"""Whether an attack has ended: pure, from what its rule has dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from skerry.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRules:
    """When an attack counts as ended.

    Attributes:
        quiet_s: Seconds for which its rule must drop next to nothing, above 0.
        quiet_ratio: What next to nothing is: a share of the highest rate so far.
        relapse_factor: How many times longer each time that it came back, from 1.
        longest_quiet_s: At most so long.
        slow_per_s: Packets per second of an attack, below which it is slow: it pauses for seconds by itself, and its
            connections wait longer and longer before they send again what was dropped.
        slow_quiet_s: Seconds for which the rule of a slow attack must drop nothing at all, above 0.
    """

    quiet_s: float = 2.0
    quiet_ratio: float = 0.02
    relapse_factor: float = 2.0
    longest_quiet_s: float = 120.0
    slow_per_s: float = 250.0
    slow_quiet_s: float = 15.0

    def __post_init__(self) -> None:
        """Refuse rules that would end an attack at once, or never.

        Raises:
            ConfigError: one is out of range.
        """
        if min(self.quiet_s, self.slow_quiet_s) <= 0 or self.relapse_factor < 1 or not 0 <= self.quiet_ratio < 1:
            raise ConfigError("quiet_s and slow_quiet_s are above 0, relapse_factor from 1, and quiet_ratio in [0, 1)")

    def wait_s(self, relapses: int) -> float:
        """Return how long it must be quiet after an attack has come back so many times."""
        wait_s = self.quiet_s
        for _ in range(relapses):
            wait_s = min(wait_s * self.relapse_factor, self.longest_quiet_s)
        return wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A rule's counter at a moment.

    Attributes:
        at_s: When, seconds.
        packets: What it had dropped by then.
    """

    at_s: float
    packets: int


def has_ended(
    readings: Sequence[Reading], rules: EndRules, *, relapses: int = 0, attack_per_s: float = math.inf
) -> bool:
    """Return whether a rule has dropped next to nothing for long enough.

    Args:
        readings: Its counter since it was applied, the oldest first.
        rules: When an attack counts as ended.
        relapses: How many times this attack has come back before.
        attack_per_s: Packets per second that it sent before its rule was applied.
    """
    if attack_per_s < rules.slow_per_s:
        rules = replace(rules, quiet_s=max(rules.quiet_s, rules.slow_quiet_s), quiet_ratio=0.0)
    if len(readings) < 2:
        return False
    now_s, wait_s = readings[-1].at_s, rules.wait_s(relapses)
    before = [reading for reading in readings if reading.at_s <= now_s - wait_s]
    if not before:
        return False
    recent_per_s = (readings[-1].packets - before[-1].packets) / (now_s - before[-1].at_s)
    return recent_per_s <= rules.quiet_ratio * _highest_per_s(readings)


def _highest_per_s(readings: Sequence[Reading]) -> float:
    pairs = pairwise(readings)
    return max(
        ((new.packets - old.packets) / (new.at_s - old.at_s) for old, new in pairs if new.at_s > old.at_s), default=0.0
    )
