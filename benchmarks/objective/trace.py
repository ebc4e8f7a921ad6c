"""Arrivals that come in bursts: a Markov-modulated Poisson process with two rates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

RATIO = 10.0  # of the rate in a burst to the rate between


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a trace alternates.

    Args:
        name: What the table calls it.
        low_s: Mean time between bursts, in seconds; the times are exponentially distributed.
        high_s: Mean length of a burst, in seconds; exponentially distributed.
    """

    name: str
    low_s: float
    high_s: float


# At 70 % of saturation the rate in a burst is 90 % of it in the first, and 127 % in the second, in the long run. A
# burst above saturation that lasts longer than a fraction of the objective cannot be served within it by anything, so
# the second has short ones; `ideal_share` says for each trace what would be possible.
SHAPES = (
    Shape(name="long bursts", low_s=0.25, high_s=0.75),
    Shape(name="short bursts", low_s=0.01, high_s=0.01),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Arrivals.

    Args:
        shape: What it was made of.
        seed: Of the random numbers; the same arguments make the same trace.
        mean_rate: Requests per second that were asked for.
        low_rate: Rate between bursts, per second; `RATIO` times this in a burst.
        length_s: Seconds from the first possible arrival to the last.
        bursts: Bursts that it holds.
        due_s: When each request arrives, ascending.
    """

    shape: Shape
    seed: int
    mean_rate: float
    low_rate: float
    length_s: float
    bursts: int
    due_s: Sequence[float]

    def describe(self) -> dict[str, Any]:
        """Return what the trace can be made again from, and what came out."""
        return {
            "shape": asdict(self.shape),
            "seed": self.seed,
            "mean_rate": self.mean_rate,
            "low_rate": self.low_rate,
            "high_rate": self.low_rate * RATIO,
            "length_s": self.length_s,
            "bursts": self.bursts,
            "requests": len(self.due_s),
            "actual_rate": len(self.due_s) / self.length_s,
        }


def make_trace(shape: Shape, *, mean_rate: float, length_s: float, seed: int) -> Trace:
    """Return a trace whose mean rate is what is asked for, but for the chance of its arrivals.

    Its states are drawn first, and by the seed alone: traces of several rates have the same bursts. Its rates follow
    from the share that the bursts turned out to have, so that a short trace is not by luck a light or a heavy one.
    """
    states = _draw_states(shape, length_s, random.Random(seed))
    high_s = sum(end_s - begin_s for begin_s, end_s, is_high in states if is_high)
    low_rate = mean_rate * length_s / (length_s - high_s + RATIO * high_s)
    arrivals = random.Random(seed + 1)
    due_s: list[float] = []
    for begin_s, end_s, is_high in states:
        rate = low_rate * RATIO if is_high else low_rate
        now_s = begin_s  # an exponential time has no memory: each state draws anew
        while (now_s := now_s + arrivals.expovariate(rate)) < end_s:
            due_s.append(now_s)
    return Trace(
        shape=shape,
        seed=seed,
        mean_rate=mean_rate,
        low_rate=low_rate,
        length_s=length_s,
        bursts=sum(is_high for *_, is_high in states),
        due_s=due_s,
    )


def _draw_states(shape: Shape, length_s: float, draw: random.Random) -> list[tuple[float, float, bool]]:
    """Return begin, end, and whether it is a burst; the first is one with the probability that bursts have."""
    is_high = draw.random() < shape.high_s / (shape.low_s + shape.high_s)
    states = []
    begin_s = 0.0
    while begin_s < length_s:
        end_s = min(length_s, begin_s + draw.expovariate(1 / (shape.high_s if is_high else shape.low_s)))
        states.append((begin_s, end_s, is_high))
        begin_s, is_high = end_s, not is_high
    return states


def ideal_share(trace: Trace, *, rate: float, objective_s: float) -> float:
    """Return the share within the objective of a server that always works at ``rate``, one request after the other."""
    free_s = 0.0
    kept = 0
    for due_s in trace.due_s:
        free_s = max(free_s, due_s) + 1 / rate
        kept += free_s - due_s <= objective_s
    return kept / max(1, len(trace.due_s))
