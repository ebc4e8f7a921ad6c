"""Which packets are lost: seeded, independent or in bursts."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from skerry.testbed.links.conditions import BurstLoss, Conditions


def make_loss(conditions: Conditions, random: Random) -> Callable[[], bool] | None:
    """Return what says of each packet in turn whether it is lost; None where none is.

    Args:
        conditions: Those of the direction.
        random: Where it draws from.
    """
    if conditions.loss_burst is not None:
        return _Bursts(conditions.loss_burst, random)
    ratio = conditions.loss_ratio
    if not ratio:
        return None
    draw = random.random
    return lambda: draw() < ratio


class _Bursts:
    """The two states of Gilbert and Elliott; as in netem, the state changes before the packet's fate is drawn."""

    def __init__(self, burst: BurstLoss, random: Random) -> None:
        self._burst = burst
        self._draw = random.random
        self._bad = self._draw() < burst.enter_ratio / (burst.enter_ratio + burst.leave_ratio)

    def __call__(self) -> bool:
        burst = self._burst
        if self._draw() < (burst.leave_ratio if self._bad else burst.enter_ratio):
            self._bad = not self._bad
        return self._draw() < (burst.bad_loss_ratio if self._bad else burst.good_loss_ratio)
