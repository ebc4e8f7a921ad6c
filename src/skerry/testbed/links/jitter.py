"""Random delay as a function of time, seeded: what one packet gets on top of the mean, in standard deviations.

Jitter is the standard deviation of the one-way delay. Two processes have it:

* `Wander`: the delay is a continuous random curve. Packets that are close together get nearly the same delay and keep
  their order; those further apart than a span get independent ones.
* `PacketJitter`: each packet draws for itself, as netem does, so that a packet may overtake the one before it.

Both are Gaussian underneath and mapped onto their distribution by its quantiles, so that mean and deviation are
exactly those that were set, at every moment and whatever the correlation is.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from random import Random

from skerry.testbed.links.distribution import TABLE_SIZE, Distribution, quantiles

# How long the curve takes from one independent value to the next, in standard deviations. A packet overtakes where the
# delay falls faster than time passes; with normal jitter that is then 4 standard deviations of the slope away.
SPAN_DEVIATIONS = 6.0
HALF_TURN = math.pi / 2
ROOT_2 = math.sqrt(2.0)


class Jitter(ABC):
    """A seeded random process with mean 0 and standard deviation 1.

    Args:
        distribution: How its values are spread.
        correlation_ratio: What one draw says about the next, 0 to below 1.
        random: Where it draws from.
    """

    def __init__(self, distribution: Distribution, correlation_ratio: float, random: Random) -> None:
        self._quantiles = quantiles(distribution)
        self._correlation = correlation_ratio
        self._random = random

    @abstractmethod
    def at(self, now_s: float) -> float:
        """Return the value for a packet at a moment; moments never go back."""

    def _map(self, value: float) -> float:
        share = 0.5 * (1.0 + math.erf(value / ROOT_2))
        place = share * TABLE_SIZE - 0.5
        index = min(max(int(place), 0), TABLE_SIZE - 2)
        left = self._quantiles[index]
        return left + min(max(place - index, 0.0), 1.0) * (self._quantiles[index + 1] - left)

    def _next(self, value: float, steps: int) -> float:
        """Return what follows a Gaussian value after so many draws."""
        kept = self._correlation**steps if self._correlation else 0.0
        return kept * value + math.sqrt(1.0 - kept * kept) * self._random.gauss(0.0, 1.0)


class PacketJitter(Jitter):
    """A draw for each packet, which says ``correlation_ratio`` of the next one."""

    def __init__(self, distribution: Distribution, correlation_ratio: float, random: Random) -> None:
        super().__init__(distribution, correlation_ratio, random)
        self._value = random.gauss(0.0, 1.0)

    def at(self, now_s: float) -> float:
        """Return the next packet's value; the moment does not matter."""
        self._value = self._next(self._value, 1)
        return self._map(self._value)


class Wander(Jitter):
    """A continuous random curve through a draw at the end of each span.

    Args:
        distribution: How its values are spread.
        correlation_ratio: What the draw of one span says about the next.
        random: Where it draws from.
        span_s: Length of a span, seconds.
    """

    def __init__(self, distribution: Distribution, correlation_ratio: float, random: Random, *, span_s: float) -> None:
        super().__init__(distribution, correlation_ratio, random)
        self._span_s = span_s
        self._span = -1
        self._left = random.gauss(0.0, 1.0)
        self._right = self._next(self._left, 1)

    def at(self, now_s: float) -> float:
        """Return the curve's value at a moment."""
        place = now_s / self._span_s
        span = int(place)
        if span != self._span:
            self._enter(span)
        # Between two independent draws x and y, x cos a + y sin a is again a standard normal value for every angle.
        angle = HALF_TURN * (place - span)
        value = self._left * math.cos(angle) + self._right * math.sin(angle)
        if self._correlation:
            value /= math.sqrt(1.0 + self._correlation * math.sin(2.0 * angle))
        return self._map(value)

    def _enter(self, span: int) -> None:
        steps = span - self._span
        self._left = self._right if steps == 1 else self._next(self._right, steps - 1)
        self._right = self._next(self._left, 1)
        self._span = span
