"""What was seen of the traffic to one destination in one interval."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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
# Members by plain names: to look one up at its enumeration takes as long as all else that is done for a slice.
_TCP, _UDP = Protocol.TCP, Protocol.UDP
_OPENING, _ANSWERING = Flag.SYN, Flag.SYN | Flag.ACK


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
        return self.flags == _OPENING

    @property
    def answers_only(self) -> bool:
        """Whether they are one answer to the opening of a connection, of which nothing else was seen."""
        return self.flags == _ANSWERING and self.packets == 1


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
    sums = _sum(slices, known)
    packets, sources = sums.packets, len(sums.by_source)
    features = {
        "packets_per_s": packets / length_s,
        "bytes_per_s": sums.size_bytes / length_s,
        "flows_per_s": len(slices) / length_s,
        "opening_per_s": sums.opening / length_s,
        "opening_ratio": sums.opening_ratio(MOST_COUNTED * sampling),
        "datagrams_per_s": sums.datagrams / length_s,
        "other_per_s": (packets - sums.tcp - sums.datagrams) / length_s,
        "sources": float(sources),
        "new_sources_ratio": sums.new / sources if sources else 0.0,
        "entropy_bits": _entropy_bits(sums.by_source.values(), packets),
        "length_bytes": sums.size_bytes / packets if packets else 0.0,
    }
    return Traffic(
        destination=destination,
        ended_s=ended_s,
        length_s=length_s,
        slices=slices,
        features=features,
        sampling=sampling,
    )


class _Sums(NamedTuple):
    """What the slices of a window have together; sources as numbers, which are looked up ten times as fast."""

    packets: float
    size_bytes: float
    opening: float
    tcp: float
    datagrams: float
    new: int
    by_source: dict[int, float]
    opened: dict[int, float]  # of TCP: packets that only open connections, and all others
    answered: dict[int, float]

    def opening_ratio(self, most_counted: float) -> float:
        """Return how much of the TCP traffic is sources that only open connections.

        Of every other source a few packets count, so that one busy connection does not hide a flood.
        """
        unanswered = sum(count for source, count in self.opened.items() if source not in self.answered)
        answered = sum(min(count, most_counted) for count in self.answered.values())
        return unanswered / (unanswered + answered) if unanswered else 0.0


def _sum(slices: Iterable[Slice], known: Collection[Address]) -> _Sums:
    total = size_bytes = opening = tcp = datagrams = 0.0
    new = 0
    by_source: dict[int, float] = {}
    opened: dict[int, float] = {}
    answered: dict[int, float] = {}
    for item in slices:
        packets, source, protocol = item.packets, int(item.source), item.protocol
        total += packets
        size_bytes += packets * item.length_bytes
        before = by_source.get(source)
        if before is None:
            by_source[source] = packets
            new += item.source not in known
        else:
            by_source[source] = before + packets
        opens = item.flags == _OPENING
        if opens:
            opening += packets
        if protocol is _TCP:
            tcp += packets
            of_tcp = opened if opens else answered
            of_tcp[source] = of_tcp.get(source, 0.0) + packets
        elif protocol is _UDP:
            datagrams += packets
    return _Sums(total, size_bytes, opening, tcp, datagrams, new, by_source, opened, answered)


def _entropy_bits(counts: Iterable[float], total: float) -> float:
    if not total:
        return 0.0
    return -sum(count / total * math.log2(count / total) for count in counts if count)
