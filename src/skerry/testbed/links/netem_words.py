"""Conditions in the words of ``tc qdisc … netem``; pure."""

from __future__ import annotations

import math

from skerry.testbed.links.conditions import Conditions
from skerry.testbed.links.distribution import Distribution, quantiles
from skerry.testbed.links.namespace import MTU_BYTES

# netem keeps packets in order only behind a rate. This one takes 0.1 us per packet.
ORDER_RATE_BPS = 100_000_000_000
# netem's queue holds the packets that are on their way too, and counts small ones like large ones: room for so many
# at least, and plenty without a rate.
LEAST_PACKETS = 100
MOST_PACKETS = 200_000
TABLE_PREFIX = "skerry-"
# Values of netem's tables are in 1/8192 of a standard deviation.
TABLE_SCALE = 8192


def netem_words(conditions: Conditions) -> list[str]:
    """Return the options of netem that make these conditions; every option is named, so that `change` forgets none.

    Args:
        conditions: Those of one direction.
    """
    words = ["limit", str(limit_packets(conditions)), "delay", f"{conditions.delay_ms:.6f}ms"]
    if conditions.jitter_ms:
        words += [f"{conditions.jitter_ms:.6f}ms", _percent(conditions.jitter_correlation_ratio)]
        words += ["distribution", TABLE_PREFIX + conditions.jitter_distribution]
    burst = conditions.loss_burst
    if burst is not None:
        # netem wants the chances to go from good to bad and back, to be lost in the bad state, and in the good one.
        ratios = (burst.enter_ratio, burst.leave_ratio, burst.bad_loss_ratio, burst.good_loss_ratio)
        words += ["loss", "gemodel", *(_percent(ratio) for ratio in ratios)]
    else:
        words += ["loss", "random", _percent(conditions.loss_ratio)]
    words += ["duplicate", _percent(conditions.duplicate_ratio)]
    if conditions.reorder_ratio and conditions.delay_ms:
        words += ["reorder", _percent(conditions.reorder_ratio)]
    return [*words, "rate", f"{rate_bps(conditions)}bit"]


def rate_bps(conditions: Conditions) -> int:
    """Return the rate that netem is given: the link's, one that only keeps order, or 0 for none."""
    if conditions.rate_mbps:
        return round(conditions.rate_mbps * 1e6)
    keeps_order = conditions.jitter_ms and not conditions.jitter_reorders
    return ORDER_RATE_BPS if keeps_order else 0


def limit_packets(conditions: Conditions) -> int:
    """Return how many packets netem may hold: those that wait, and those that are on their way."""
    if not conditions.rate_mbps:
        return MOST_PACKETS
    on_the_way_bytes = conditions.rate_mbps * 1e3 / 8 * (conditions.delay_ms + 4 * conditions.jitter_ms)
    packets = math.ceil((conditions.queue_limit_bytes + on_the_way_bytes) / MTU_BYTES)
    if conditions.queue_bytes is None:
        packets = max(packets, LEAST_PACKETS)
    return min(packets, MOST_PACKETS)


def distribution_table(distribution: Distribution) -> str:
    """Return a distribution as the file that ``tc`` reads: quantiles as whole numbers."""
    numbers = [str(round(value * TABLE_SCALE)) for value in quantiles(distribution)]
    lines = [" ".join(numbers[start : start + 8]) for start in range(0, len(numbers), 8)]
    return "\n".join([f"# {distribution}: mean 0, standard deviation {TABLE_SCALE}", *lines]) + "\n"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.6f}%"
