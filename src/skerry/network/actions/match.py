"""Which packets a rule is about, in words of traffic and not of any one kind of firewall."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

from skerry.errors import SpecError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
LARGEST_LENGTH_BYTES = 65_535
LARGEST_PORT = 65_535


class Protocol(StrEnum):
    """What travels in IP."""

    TCP = "tcp"
    UDP = "udp"
    ICMP = "icmp"


class Flag(IntFlag):
    """The flags of TCP that a rule can ask for, with the bits that they have in a header."""

    FIN = 1
    SYN = 2
    RST = 4
    ACK = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Packets to a destination, narrowed down.

    Attributes:
        destination: Where they go.
        sources: Where they come from; empty for anywhere.
        spared: Sources whose packets are left alone.
        protocol: What travels in them; None for anything.
        source_ports: TCP or UDP ports that they come from; empty for any.
        destination_ports: TCP or UDP ports that they go to; empty for any.
        flags: Of FIN, SYN, RST and ACK exactly these; None for any. TCP only.
        length_bytes: Smallest and largest length of the IP packet; None for any.
        fragments: Only the later pieces of IPv4 datagrams, which have no ports.
    """

    destination: Network
    sources: tuple[Network, ...] = ()
    spared: tuple[Network, ...] = ()
    protocol: Protocol | None = None
    source_ports: tuple[int, ...] = ()
    destination_ports: tuple[int, ...] = ()
    flags: Flag | None = None
    length_bytes: tuple[int, int] | None = None
    fragments: bool = False

    def __post_init__(self) -> None:
        """Refuse what no packet can be.

        Raises:
            SpecError: the parts contradict each other or are out of range.
        """
        if any(network.version != self.destination.version for network in (*self.sources, *self.spared)):
            raise SpecError("a rule's sources must be of the IP version of its destination: make two rules")
        self._check_ports()
        if self.flags is not None and self.protocol is not Protocol.TCP:
            raise SpecError("a rule that asks for TCP flags must say protocol=tcp")
        if self.length_bytes is not None:
            smallest, largest = self.length_bytes
            if not 0 <= smallest <= largest <= LARGEST_LENGTH_BYTES:
                raise SpecError(f"length_bytes={self.length_bytes}: say smallest and largest, from 0 to 65535")
        if self.fragments and self.destination.version != 4:
            raise SpecError("a rule about fragments is for IPv4 only")

    @property
    def narrowed(self) -> bool:
        """Whether it is about less than everything that goes to the destination."""
        return bool(
            self.sources
            or self.source_ports
            or self.destination_ports
            or self.flags is not None
            or self.length_bytes is not None
            or self.fragments
            or self.protocol is not None
        )

    def _check_ports(self) -> None:
        ports = (*self.source_ports, *self.destination_ports)
        if ports and self.protocol not in (Protocol.TCP, Protocol.UDP):
            raise SpecError("a rule with ports must say protocol=tcp or protocol=udp")
        if ports and self.fragments:
            raise SpecError("later fragments have no ports: leave the ports out, or make two rules")
        if any(not 0 <= port <= LARGEST_PORT for port in ports):
            raise SpecError(f"ports are from 0 to {LARGEST_PORT}, not {ports}")


def match_to_plain(match: Match) -> dict[str, Any]:
    """Return a match as plain values that JSON can hold; the inverse of :func:`match_from_plain`."""
    return {
        "destination": str(match.destination),
        "sources": [str(network) for network in match.sources],
        "spared": [str(network) for network in match.spared],
        "protocol": match.protocol.value if match.protocol is not None else None,
        "source_ports": list(match.source_ports),
        "destination_ports": list(match.destination_ports),
        "flags": int(match.flags) if match.flags is not None else None,
        "length_bytes": list(match.length_bytes) if match.length_bytes is not None else None,
        "fragments": match.fragments,
    }


def match_from_plain(plain: dict[str, Any]) -> Match:
    """Return the match that plain values describe.

    Raises:
        SpecError: its parts contradict each other.
    """
    length = plain["length_bytes"]
    return Match(
        destination=ip_network(plain["destination"]),
        sources=tuple(ip_network(text) for text in plain["sources"]),
        spared=tuple(ip_network(text) for text in plain["spared"]),
        protocol=Protocol(plain["protocol"]) if plain["protocol"] is not None else None,
        source_ports=tuple(plain["source_ports"]),
        destination_ports=tuple(plain["destination_ports"]),
        flags=Flag(plain["flags"]) if plain["flags"] is not None else None,
        length_bytes=(length[0], length[1]) if length is not None else None,
        fragments=plain["fragments"],
    )
