"""What one direction of a link does to packets: the words, checked, and nothing that acts on them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from skerry.errors import SpecError
from skerry.testbed.links.distribution import Distribution

# What a queue in front of a slow link holds unless it is set: the bytes of so much time, and never less than so many.
DEFAULT_QUEUE_S = 0.1
LEAST_QUEUE_BYTES = 64 * 1024
LONGEST_DELAY_MS = 600_000
LOWEST_RATE_MBPS = 0.001
RATIOS = ("jitter_correlation_ratio", "loss_ratio", "duplicate_ratio", "reorder_ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstLoss:
    """Loss in bursts: a good and a bad state, and how likely a packet is lost in each.

    Args:
        enter_ratio: Chance per packet to go from good to bad, in (0, 1].
        leave_ratio: Chance per packet to go from bad to good, in (0, 1]; bad spells last ``1 / leave_ratio`` packets.
        bad_loss_ratio: Chance to be lost in the bad state, 0 to 1.
        good_loss_ratio: Chance to be lost in the good state, 0 to 1.

    Source: the model of Gilbert (1960) and Elliott (1963), with the parameters of netem's ``loss gemodel``.
    """

    enter_ratio: float
    leave_ratio: float
    bad_loss_ratio: float = 1.0
    good_loss_ratio: float = 0.0

    def __post_init__(self) -> None:
        for name in ("enter_ratio", "leave_ratio"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value <= 1:
                raise SpecError(f"loss_burst.{name} is {value!r}; it must be above 0 and at most 1")
        for name in ("bad_loss_ratio", "good_loss_ratio"):
            _require_ratio(f"loss_burst.{name}", getattr(self, name))

    @property
    def loss_ratio(self) -> float:
        """The share of packets that are lost in the long run."""
        bad = self.enter_ratio / (self.enter_ratio + self.leave_ratio)
        return bad * self.bad_loss_ratio + (1 - bad) * self.good_loss_ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one direction of a link does to packets.

    Args:
        delay_ms: Mean one-way delay, milliseconds, at least 0.
        jitter_ms: Standard deviation of the one-way delay, milliseconds, at least 0.
        jitter_distribution: How delays are spread about their mean.
        jitter_correlation_ratio: How much one random delay says about the next, 0 (nothing) to below 1.
        jitter_reorders: Whether each packet draws a delay of its own and may overtake, as with netem. Without it the
            delay wanders, and packets keep their order.
        loss_ratio: Share of packets that are lost, each by itself, 0 to 1; 1 cuts the link.
        loss_burst: Loss in bursts, in place of ``loss_ratio``.
        rate_mbps: Bits that pass per second, in millions, counting IP packets with their heads; None is no limit.
        queue_bytes: What waits in front of a link with a rate before packets are dropped; None is 100 ms worth of
            the rate, and at least 64 KiB.
        duplicate_ratio: Share of packets that arrive twice, 0 to 1.
        reorder_ratio: Share of packets that skip the delay, and so overtake others, 0 to 1.

    Raises:
        SpecError: a value is of the wrong type or out of range.

    Example:
        >>> Conditions(delay_ms=15, jitter_ms=3, loss_ratio=0.0024).loss
        0.0024
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter_distribution: Distribution = "normal"
    jitter_correlation_ratio: float = 0.0
    jitter_reorders: bool = False
    loss_ratio: float = 0.0
    loss_burst: BurstLoss | None = None
    rate_mbps: float | None = None
    queue_bytes: int | None = None
    duplicate_ratio: float = 0.0
    reorder_ratio: float = 0.0

    def __post_init__(self) -> None:
        for name in ("delay_ms", "jitter_ms"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= LONGEST_DELAY_MS:
                raise SpecError(f"{name} is {value!r}; it must be milliseconds, from 0 to {LONGEST_DELAY_MS:,}")
        for name in RATIOS:
            _require_ratio(name, getattr(self, name))
        if self.jitter_correlation_ratio == 1:
            raise SpecError("jitter_correlation_ratio is 1; it must be below 1, or the delay would never change")
        if self.jitter_distribution not in get_args(Distribution):
            known = ", ".join(get_args(Distribution))
            raise SpecError(f"jitter_distribution is {self.jitter_distribution!r}; it must be one of {known}")
        if not isinstance(self.jitter_reorders, bool):
            raise SpecError(f"jitter_reorders is {self.jitter_reorders!r}; it must be true or false")
        if self.loss_burst is not None and self.loss_ratio:
            raise SpecError("both loss_ratio and loss_burst are set; keep one")
        rate = self.rate_mbps
        if rate is not None and (not _is_number(rate) or not LOWEST_RATE_MBPS <= rate < math.inf):
            raise SpecError(f"rate_mbps is {rate!r}; it must be Mbit/s, at least {LOWEST_RATE_MBPS}")
        queue = self.queue_bytes
        if queue is not None and (not isinstance(queue, int) or isinstance(queue, bool) or queue < 1):
            raise SpecError(f"queue_bytes is {queue!r}; it must be a whole number above 0")

    @property
    def loss(self) -> float:
        """The share of packets that are lost in the long run."""
        return self.loss_burst.loss_ratio if self.loss_burst is not None else self.loss_ratio

    @property
    def queue_limit_bytes(self) -> int:
        """What the queue in front of a link with a rate holds."""
        if self.queue_bytes is not None:
            return self.queue_bytes
        return max(LEAST_QUEUE_BYTES, int((self.rate_mbps or 0) * 1e6 / 8 * DEFAULT_QUEUE_S))

    def changed(self, **values: Any) -> Conditions:
        """Return these conditions with some values replaced.

        Raises:
            SpecError: there is no such condition, or a value is out of range.
        """
        unknown = sorted(set(values) - {item.name for item in fields(self)})
        if unknown:
            raise SpecError(f"there is no condition {unknown[0]!r}; there are {', '.join(_names())}")
        burst = values.get("loss_burst")
        if isinstance(burst, Mapping):
            values["loss_burst"] = burst_from_dict(burst)
        elif burst is not None and not isinstance(burst, BurstLoss):
            raise SpecError(f"loss_burst is {burst!r}; it must be a table")
        if "loss_ratio" in values and "loss_burst" not in values:
            values["loss_burst"] = None
        elif values.get("loss_burst") is not None and "loss_ratio" not in values:
            values["loss_ratio"] = 0.0
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return the conditions as plain data, without those at their defaults."""
        plain = dataclasses.asdict(self)
        return {item.name: plain[item.name] for item in fields(self) if plain[item.name] != item.default}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Conditions:
        """Return the conditions that plain data describe: the inverse of :meth:`to_dict`.

        Raises:
            SpecError: an unknown key, a wrong type, or a value out of range.
        """
        return cls().changed(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConditions:
    """What a link does in each of its directions.

    Args:
        forward: From the first end to the second.
        backward: From the second end to the first.
    """

    forward: Conditions = field(default_factory=Conditions)
    backward: Conditions = field(default_factory=Conditions)

    @classmethod
    def same(cls, conditions: Conditions) -> LinkConditions:
        """Return conditions that are the same in both directions."""
        return cls(forward=conditions, backward=conditions)

    def to_dict(self) -> dict[str, Any]:
        """Return the conditions as plain data."""
        return {"forward": self.forward.to_dict(), "backward": self.backward.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LinkConditions:
        """Return what plain data describe: the inverse of :meth:`to_dict`."""
        return cls(forward=Conditions.from_dict(values["forward"]), backward=Conditions.from_dict(values["backward"]))


def burst_from_dict(values: Mapping[str, Any]) -> BurstLoss:
    """Return the loss in bursts that plain data describe.

    Raises:
        SpecError: an unknown key, one that is missing, or a value out of range.
    """
    names = [item.name for item in fields(BurstLoss)]
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise SpecError(f"loss_burst.{unknown[0]} is not known; there are {', '.join(names)}")
    for name in ("enter_ratio", "leave_ratio"):
        if name not in values:
            raise SpecError(f"loss_burst.{name} is missing")
    return BurstLoss(**values)


def _names() -> list[str]:
    return [item.name for item in fields(Conditions)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require_ratio(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise SpecError(f"{name} is {value!r}; it must be a share from 0 to 1")
