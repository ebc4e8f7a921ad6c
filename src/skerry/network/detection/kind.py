"""What a flood is made of."""

from __future__ import annotations

from enum import StrEnum

from skerry.network.actions import Protocol
from skerry.network.detection.traffic import Slice


class Kind(StrEnum):
    """What a flood is made of."""

    OPENING = "opening"  # TCP packets that open connections
    DATAGRAMS = "datagrams"  # UDP
    FRAGMENTS = "fragments"  # later pieces of datagrams
    OTHER = "other"  # ICMP and whatever else is neither TCP nor UDP
    CONNECTED = "connected"  # all other packets of TCP


# What is taken for a flood where a detector does not say: much data on connections is more often a speed test.
FLOODS = (Kind.OPENING, Kind.DATAGRAMS, Kind.FRAGMENTS, Kind.OTHER)


def kind_of(part: Slice) -> Kind:
    """Return what a flood of such packets would be."""
    if part.fragments:
        return Kind.FRAGMENTS
    if part.protocol is Protocol.TCP:
        return Kind.OPENING if part.opens_only else Kind.CONNECTED
    return Kind.DATAGRAMS if part.protocol is Protocol.UDP else Kind.OTHER
