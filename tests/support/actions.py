"""Actions at random, and packets to try them on."""

from dataclasses import dataclass
from functools import reduce
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from operator import or_

from hypothesis import strategies as st

from skerry.network.actions import Action, Flag, Limit, Match, Protocol

V4 = ip_network("10.9.0.0/16")
V6 = ip_network("fd00:9::/48")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What a rule can see of a packet."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    protocol: Protocol | None
    source_port: int = 0
    destination_port: int = 0


def may_match(match: Match, packet: Packet) -> bool:
    """Return whether a rule could hit a packet, whatever its flags and length are."""
    ports_fit = (not match.source_ports or packet.source_port in match.source_ports) and (
        not match.destination_ports or packet.destination_port in match.destination_ports
    )
    return (
        packet.destination in match.destination
        and (not match.sources or any(packet.source in network for network in match.sources))
        and not any(packet.source in network for network in match.spared)
        and (match.protocol is None or match.protocol is packet.protocol)
        and ports_fit
    )


def networks(around, *, shortest):
    """Return a strategy of networks inside another one."""
    longest = around.max_prefixlen
    start, longest = int(around.network_address), around.max_prefixlen
    kind = IPv4Network if around.version == 4 else IPv6Network
    lengths = st.just(longest) | st.integers(max(shortest, around.prefixlen), longest)
    pairs = st.tuples(st.integers(start, start + around.num_addresses - 1), lengths)
    return pairs.map(lambda pair: kind(pair, strict=False))


asked_flags = st.sets(st.sampled_from([*Flag])).map(lambda chosen: reduce(or_, chosen, Flag(0)))
ports = st.lists(st.integers(1, 65535), max_size=3).map(tuple)


@st.composite
def matches(draw, *, v4=V4, v6=V6, narrow=True):
    """Draw a match that the values allow, and that policies may refuse."""
    around = draw(st.sampled_from([v4, v6]))
    shortest = 24 if around.version == 4 else 64
    protocol = draw(st.sampled_from([*Protocol] if narrow else [None, *Protocol]))
    fragments = around.version == 4 and draw(st.booleans()) and draw(st.booleans())
    has_ports = protocol in (Protocol.TCP, Protocol.UDP) and not fragments
    flags = draw(st.none() | asked_flags) if protocol is Protocol.TCP else None
    lengths = draw(st.none() | st.tuples(st.integers(20, 1500), st.integers(0, 500)))
    return Match(
        destination=draw(networks(around, shortest=shortest)),
        sources=tuple(draw(st.lists(networks(around, shortest=shortest), max_size=4))),
        spared=tuple(draw(st.lists(networks(around, shortest=shortest), max_size=2))),
        protocol=protocol,
        source_ports=draw(ports) if has_ports else (),
        destination_ports=draw(ports) if has_ports else (),
        flags=None if fragments else flags,
        length_bytes=None if lengths is None else (lengths[0], lengths[0] + lengths[1]),
        fragments=fragments,
    )


limits = st.none() | st.builds(
    Limit, packets_per_s=st.integers(1, 100_000), burst_packets=st.integers(1, 1000), per_source=st.booleans()
)


def actions(**options):
    """Return a strategy of actions."""
    return st.builds(Action, match=matches(**options), limit=limits, ttl_s=st.integers(60, 3600))


def some_action(destination="10.9.3.2", **changes):
    """Return an ordinary action: SYN packets without options to a web server."""
    match = Match(
        destination=ip_network(destination),
        protocol=Protocol.TCP,
        destination_ports=(80,),
        flags=Flag.SYN,
        length_bytes=(40, 40),
    )
    return Action(**{"match": match, "ttl_s": 60.0, "evidence": {"syn_per_s": 1520}, **changes})
