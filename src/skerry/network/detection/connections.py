"""The connections of TCP to each destination, as far as the packets to it tell: pure bookkeeping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from skerry.network.actions import Address, Flag, Protocol
from skerry.network.detection.traffic import Slice, Traffic

# A connection's source as a number, its port there, and the port that it goes to.
Key = tuple[int, int, int]
# Flags as plain numbers: an enumeration's operators take ten times as long, and this is done for each slice. To look up
# a member takes as long as well.
SYN, ACK = int(Flag.SYN), int(Flag.ACK)
TCP = Protocol.TCP
_ENDS = int(Flag.FIN | Flag.RST)
_NOTHING: Mapping[Key, Connection] = MappingProxyType({})


@dataclass(slots=True)
class Connection:
    """What came of one connection so far.

    Attributes:
        first_s: When its first packets were seen, seconds on the sensor's clock.
        last_s: When the latest were.
        packets: How many there were.
        size_bytes: How many bytes they had, as IP packets.
        flags: All flags that they had together, as a number.
    """

    first_s: float
    last_s: float
    packets: float
    size_bytes: float
    flags: int

    @property
    def ended(self) -> bool:
        """Whether its source has ended it."""
        return bool(self.flags & _ENDS)


def key_of(item: Slice) -> Key:
    """Return the connection that a slice of TCP belongs to, among those to one destination."""
    return int(item.source), item.source_port, item.destination_port


class ConnectionTable:
    """Knows connections until nothing was seen of them for a while.

    Args:
        idle_s: For how long.
        most: Connections that it knows at the same time; more than that it does not take.
    """

    def __init__(self, *, idle_s: float, most: int = 200_000) -> None:
        self._idle_s = idle_s
        self._most = most
        self._count = 0
        self._swept_s = -math.inf
        self._destinations: dict[Address, dict[Key, Connection]] = {}

    @property
    def full(self) -> bool:
        """Whether there are connections that it does not know, because there are too many."""
        return self._count >= self._most

    def of(self, destination: Address) -> Mapping[Key, Connection]:
        """Return the connections to a destination."""
        return self._destinations.get(destination, _NOTHING)

    def see(self, window: Traffic, *, adopt: bool) -> list[Slice]:
        """Take what a window tells of connections.

        Args:
            window: What was seen. A window that was seen before adds nothing.
            adopt: Whether connections are taken whose opening was not seen.

        Returns:
            Packets of TCP that open no connection and belong to none that is known, also single answers to openings.
            Those without any flag are left out: some exporters tell no flags at all.
        """
        if window.ended_s - self._swept_s >= self._idle_s / 4:
            self._sweep(window.ended_s)
        connections = self._destinations.setdefault(window.destination, {})
        strays = []
        now_s = window.ended_s
        for item in window.slices:
            if item.flags is None or item.protocol is not TCP:
                continue
            flags = int(item.flags)
            if not flags:
                continue
            key = (int(item.source), item.source_port, item.destination_port)  # as `key_of`, without the call
            connection = connections.get(key)
            if connection is not None and not (flags == SYN and connection.ended):
                if now_s > connection.last_s:
                    connection.last_s = now_s
                    connection.packets += item.packets
                    connection.size_bytes += item.packets * item.length_bytes
                    connection.flags |= flags
            # Of a connection that was opened from here, more follows than the answer to its opening.
            elif adopt or (flags & SYN and not item.answers_only):
                self._open(connections, key, item, flags, now_s)
            else:
                strays.append(item)
        return strays

    def _open(self, connections: dict[Key, Connection], key: Key, item: Slice, flags: int, now_s: float) -> None:
        if key not in connections:
            if self.full:
                return
            self._count += 1
        size_bytes = item.packets * item.length_bytes
        connections[key] = Connection(now_s, now_s, item.packets, size_bytes, flags)

    def _sweep(self, now_s: float) -> None:
        self._swept_s = now_s
        for destination, connections in list(self._destinations.items()):
            kept = {key: found for key, found in connections.items() if now_s - found.last_s < self._idle_s}
            self._count -= len(connections) - len(kept)
            if kept:
                self._destinations[destination] = kept
            else:
                del self._destinations[destination]
