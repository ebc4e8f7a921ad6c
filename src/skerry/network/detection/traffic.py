"""What was seen of the traffic to one destination in one interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from skerry.network.actions import Address, Flag, Protocol

# The features that detectors look at, in the order in which models take them.
FEATURES = (
    "packets_per_s",
    "bytes_per_s",
    "flows_per_s",
    "opening_per_s",
    "opening_ratio",
    "datagrams_per_s",
    "other_per_s",
    "sources",
    "new_sources_ratio",
    "entropy_bits",
    "length_bytes",
)
# Seen packets of one source that is answered, which count in the share of those that only open connections.
MOST_COUNTED = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Packets of one kind from one source in one interval: a flow record, or several that are alike.

    Attributes:
        source: Who sent them.
        protocol: What travels in them; None for anything but TCP, UDP and ICMP.
        source_port: The port that they come from; 0 without ports.
        destination_port: The port that they go to; 0 without ports.
        flags: All TCP flags that the packets have together; None when it is not TCP, or not known.
        length_bytes: Their mean length, as IP packets.
        packets: Their number; estimated where the exporter samples.
        fragments: Whether they are later pieces of datagrams.
    """

    source: Address
    protocol: Protocol | None
    source_port: int = 0
    destination_port: int = 0
    flags: Flag | None = None
    length_bytes: int
    packets: float
    fragments: bool = False

    @property
    def opens_only(self) -> bool:
        """Whether they are TCP packets that open connections, of which nothing else was seen."""
        return self.flags == Flag.SYN

    @property
    def answers_only(self) -> bool:
        """Whether they are one answer to the opening of a connection, of which nothing else was seen."""
        return self.flags == Flag.SYN | Flag.ACK and self.packets == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The traffic to one destination in one interval.

    Attributes:
        destination: Where it goes.
        ended_s: When the interval ended, seconds on the sensor's clock.
        length_s: How long it was.
        slices: The packets, by kind and source.
        features: Numbers for detectors, by the names in :data:`FEATURES`.
        sampling: Packets that each seen one stands for, from 1.
    """

    destination: Address
    ended_s: float
    length_s: float
    slices: Sequence[Slice]
    features: dict[str, float] = field(default_factory=dict)
    sampling: float = 1.0


def make_traffic(
    destination: Address,
    slices: Iterable[Slice],
    *,
    ended_s: float,
    length_s: float,
    known: Collection[Address] = (),
    sampling: float = 1.0,
) -> Traffic:
    """Return a window with its features.

    Args:
        destination: Where the traffic goes.
        slices: What was seen of it.
        ended_s: When the interval ended, seconds.
        length_s: How long it was, seconds.
        known: Sources that were seen before.
        sampling: Packets that each seen one stands for, from 1.
    """
    slices = tuple(slices)
    packets = sum(item.packets for item in slices)
    opening = sum(item.packets for item in slices if item.opens_only)
    tcp = sum(item.packets for item in slices if item.protocol is Protocol.TCP)
    datagrams = sum(item.packets for item in slices if item.protocol is Protocol.UDP)
    size = sum(item.packets * item.length_bytes for item in slices)
    by_source: Counter[Address] = Counter()
    for item in slices:
        by_source[item.source] += item.packets  # type: ignore[assignment]  # counts of samples are not whole
    new = sum(1 for source in by_source if source not in known)
    features = {
        "packets_per_s": packets / length_s,
        "bytes_per_s": size / length_s,
        "flows_per_s": len(slices) / length_s,
        "opening_per_s": opening / length_s,
        "opening_ratio": _opening_ratio(slices, MOST_COUNTED * sampling),
        "datagrams_per_s": datagrams / length_s,
        "other_per_s": (packets - tcp - datagrams) / length_s,
        "sources": float(len(by_source)),
        "new_sources_ratio": new / len(by_source) if by_source else 0.0,
        "entropy_bits": _entropy_bits(by_source.values(), packets),
        "length_bytes": size / packets if packets else 0.0,
    }
    return Traffic(
        destination=destination,
        ended_s=ended_s,
        length_s=length_s,
        slices=slices,
        features=features,
        sampling=sampling,
    )


def _opening_ratio(slices: Sequence[Slice], most_counted: float) -> float:
    """Return how much of the TCP traffic is sources that only open connections.

    Of every other source a few packets count, so that one busy connection does not hide a flood.
    """
    opened: dict[int, float] = {}
    others: dict[int, float] = {}
    for item in slices:
        if item.protocol is Protocol.TCP:
            packets = opened if item.opens_only else others
            packets[int(item.source)] = packets.get(int(item.source), 0.0) + item.packets
    unanswered = sum(count for source, count in opened.items() if source not in others)
    answered = sum(min(count, most_counted) for count in others.values())
    return unanswered / (unanswered + answered) if unanswered else 0.0


def _entropy_bits(counts: Iterable[float], total: float) -> float:
    if not total:
        return 0.0
    return -sum(count / total * math.log2(count / total) for count in counts if count)
