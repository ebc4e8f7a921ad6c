"""Which share of some traffic a rule would hit: rules tried on flow records instead of on packets."""

from __future__ import annotations

from collections.abc import Sequence

from skerry.network.actions import Address, Flag, Match, Network
from skerry.network.detection.traffic import Slice

# The first packet of a connection carries the options of TCP in every system in use: at least the segment size.
OPENING_LENGTHS_BYTES = (44, 100)
# Packets that only acknowledge, with or without options.
ACKNOWLEDGING_LENGTHS_BYTES = (40, 80)
_LENGTHS_BYTES = {Flag.SYN: OPENING_LENGTHS_BYTES, Flag.ACK: ACKNOWLEDGING_LENGTHS_BYTES}


class Hitter:
    """A rule made ready to be tried on many slices: it may name thousands of sources.

    Args:
        match: The rule; its destination is taken to be the traffic's.
    """

    def __init__(self, match: Match) -> None:
        self._match = match
        self._sources = _Networks(match.sources)
        self._spared = _Networks(match.spared)

    def ratio(self, part: Slice) -> float:
        """Return which share of a slice's packets the rule hits, in [0, 1].

        A connection whose opening packet is hit is lost as a whole, and so is one whose acknowledgements are; both
        count as such. Their lengths are not in a flow record, which knows the mean only: they are taken to be one of
        :data:`OPENING_LENGTHS_BYTES` and :data:`ACKNOWLEDGING_LENGTHS_BYTES`.

        Args:
            part: Packets of one kind from one source.
        """
        match = self._match
        return 1.0 if _carries(match, part) and _fits(match, part) and self._comes_from(part.source) else 0.0

    def _comes_from(self, source: Address) -> bool:
        return source not in self._spared and (not self._match.sources or source in self._sources)


def hit_ratio(match: Match, part: Slice) -> float:
    """Return which share of a slice's packets a rule hits, as :meth:`Hitter.ratio` does, for one slice."""
    return Hitter(match).ratio(part)


class _Networks:
    """Whether an address is in one of some networks, most of which are single addresses."""

    def __init__(self, networks: Sequence[Network]) -> None:
        single = [network for network in networks if network.prefixlen == network.max_prefixlen]
        self._addresses = {network.network_address for network in single}
        self._others = [network for network in networks if network.prefixlen != network.max_prefixlen]

    def __contains__(self, address: Address) -> bool:
        return address in self._addresses or any(address in network for network in self._others)


def _carries(match: Match, part: Slice) -> bool:
    if match.protocol is not None and match.protocol is not part.protocol:
        return False
    if match.fragments or (part.fragments and (match.source_ports or match.destination_ports)):
        return match.fragments and part.fragments
    source_fits = not match.source_ports or part.source_port in match.source_ports
    return source_fits and (not match.destination_ports or part.destination_port in match.destination_ports)


def _fits(match: Match, part: Slice) -> bool:
    if match.flags is None or part.flags == match.flags:
        return match.length_bytes is None or _within(part.length_bytes, match.length_bytes)
    if part.flags is None or match.flags not in _LENGTHS_BYTES or match.flags not in part.flags:
        return False
    smallest, largest = _LENGTHS_BYTES[match.flags]
    return match.length_bytes is None or (match.length_bytes[0] <= largest and smallest <= match.length_bytes[1])


def _within(length_bytes: int, bounds: tuple[int, int]) -> bool:
    return bounds[0] <= length_bytes <= bounds[1]
