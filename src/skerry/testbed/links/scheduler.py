"""When does a packet leave, and does it? One direction of a link as a seeded object without input or output.

A packet meets, in this order: loss, duplication, a queue in front of the rate, the delay with its jitter. Random
numbers come from one generator per effect, so that the same packets are lost whatever the jitter is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.jitter import SPAN_DEVIATIONS, Jitter, PacketJitter, Wander
from skerry.testbed.links.loss import make_loss

# Below what any clock here can tell apart.
ROUNDING_S = 1e-9
SHORTEST_SPAN_S = 1e-6


@dataclass(slots=True)
class Tally:
    """What became of the packets of one direction; counts since it began."""

    packets: int = 0
    bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    duplicated: int = 0
    reordered: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts as plain data."""
        return asdict(self)


class Scheduler:
    """Decides for each packet of one direction when it leaves; the caller keeps the packets and the clock.

    Args:
        conditions: What the direction does.
        seed: What its random numbers begin from; the same seed and the same packets give the same fates.
    """

    def __init__(self, conditions: Conditions, *, seed: int | str = 0) -> None:
        self._seed = seed
        self._changes = 0
        self._free_at_s = 0.0
        self._last_s = 0.0
        self.tally = Tally()
        self._apply(conditions)

    @property
    def conditions(self) -> Conditions:
        """What the direction does now."""
        return self._conditions

    def admit(self, size_bytes: int, now_s: float) -> tuple[float, ...]:
        """Take in a packet, and return when it leaves: never, once, or twice when it is duplicated.

        Args:
            size_bytes: Its length.
            now_s: Clock reading, seconds; never less than that of the packet before.

        Returns:
            Moments on the same clock. Without reordering, none is before that of an earlier packet.
        """
        tally = self.tally
        tally.packets += 1
        tally.bytes += size_bytes
        if self._is_lost is not None and self._is_lost():
            tally.lost += 1
            return ()
        if self._plain:
            # Nothing but a delay: the most frequent case, and the quickest.
            leaves_s = now_s + self._delay_s
            leaves_s = max(leaves_s, self._last_s)
            self._last_s = leaves_s
            return (leaves_s,)
        copies = 1
        if self._duplicates and self._duplicate_draw() < self._duplicates:
            tally.duplicated += 1
            copies = 2
        moments: list[float] = []
        for _ in range(copies):
            sent_s = self._send(size_bytes, now_s)
            if sent_s is not None:
                moments.append(self._delay(sent_s))
        return tuple(moments)

    def change(self, conditions: Conditions, now_s: float) -> None:
        """Go on under other conditions; packets that have been admitted keep their moments.

        Args:
            conditions: What the direction does from now on.
            now_s: Clock reading, seconds.
        """
        waiting_bytes = self._waiting_bytes(now_s)
        self._changes += 1
        self._apply(conditions)
        if self._byte_s:
            # What waits in front of the link is sent at the new rate before the next packet is.
            self._free_at_s = now_s + waiting_bytes * self._byte_s

    def _apply(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._delay_s = conditions.delay_ms / 1000
        self._jitter_s = conditions.jitter_ms / 1000
        self._byte_s = 8 / (conditions.rate_mbps * 1e6) if conditions.rate_mbps else 0.0
        self._queue_s = conditions.queue_limit_bytes * self._byte_s
        self._is_lost = make_loss(conditions, self._random("loss"))
        self._duplicates = conditions.duplicate_ratio
        self._duplicate_draw = self._random("duplication").random
        self._reorders = conditions.reorder_ratio
        self._reorder_draw = self._random("reordering").random
        self._jitter = self._make_jitter() if self._jitter_s else None
        self._overtakes = conditions.jitter_reorders and self._jitter is not None
        self._plain = not (self._byte_s or self._duplicates or self._reorders or self._jitter)

    def _random(self, effect: str) -> Random:
        return Random(f"{self._seed}/{self._changes}/{effect}")

    def _make_jitter(self) -> Jitter:
        conditions, random = self._conditions, self._random("jitter")
        if conditions.jitter_reorders:
            return PacketJitter(conditions.jitter_distribution, conditions.jitter_correlation_ratio, random)
        return Wander(
            conditions.jitter_distribution,
            conditions.jitter_correlation_ratio,
            random,
            span_s=max(SHORTEST_SPAN_S, SPAN_DEVIATIONS * self._jitter_s),
        )

    def _waiting_bytes(self, now_s: float) -> float:
        return max(0.0, self._free_at_s - now_s) / self._byte_s if self._byte_s else 0.0

    def _send(self, size_bytes: int, now_s: float) -> float | None:
        """Return when the packet has passed the rate, or None when the queue in front of it is full."""
        if not self._byte_s:
            return now_s
        begins_s = max(now_s, self._free_at_s)
        needs_s = size_bytes * self._byte_s
        # The packet that is being sent does not wait: an empty link takes a packet of any size.
        if begins_s > now_s and begins_s - now_s + needs_s > self._queue_s + ROUNDING_S:
            self.tally.overflowed += 1
            return None
        self._free_at_s = begins_s + needs_s
        return self._free_at_s

    def _delay(self, sent_s: float) -> float:
        if self._reorders and self._reorder_draw() < self._reorders:
            self.tally.reordered += 1
            return sent_s
        delay_s = self._delay_s
        if self._jitter is not None:
            delay_s += self._jitter_s * self._jitter.at(sent_s)
        leaves_s = sent_s + delay_s if delay_s > 0 else sent_s
        if leaves_s < self._last_s:
            if self._overtakes:
                self.tally.reordered += 1
                return leaves_s
            leaves_s = self._last_s
        self._last_s = leaves_s
        return leaves_s
