"""In which order trials run: every repeat has each arm once, in an order drawn anew, so that no arm has the quiet hour.

A pure function of its arguments: a run that was interrupted works out the same order and skips what is done.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one trial in the order.

    Args:
        arm: The arm's name.
        repeat: Its number, from 0.
        seed: Of what the trial draws; shared by the arms of a repeat.
    """

    arm: str
    repeat: int
    seed: int

    @property
    def key(self) -> tuple[str, int]:
        """What names the trial within a run."""
        return self.arm, self.repeat


def plan_trials(arms: Sequence[str], repeats: int, *, seed: int, most: Mapping[str, int] | None = None) -> list[Slot]:
    """Return the order of all trials of a run.

    Args:
        arms: Names of the arms.
        repeats: How often each runs.
        seed: Of the order and of the trials. More repeats of the same seed begin with the same trials.
        most: The most repeats of some arms; their trials are spread over the whole run.
    """
    limits = most or {}
    order: list[Slot] = []
    for repeat in range(repeats):
        here = [arm for arm in arms if repeat in spread_repeats(repeats, limits.get(arm, repeats))]
        random.Random(f"{seed}/{repeat}/order").shuffle(here)
        order.extend(Slot(arm, repeat, trial_seed(seed, repeat)) for arm in here)
    return order


def spread_repeats(repeats: int, count: int) -> list[int]:
    """Return the numbers of the repeats of an arm that runs ``count`` times, evenly apart, from the first one on."""
    count = min(count, repeats)
    return [number * repeats // count for number in range(count)]


def trial_seed(seed: int, repeat: int) -> int:
    """Return the seed of all trials of a repeat, below 2^32."""
    return random.Random(f"{seed}/{repeat}").getrandbits(32)
