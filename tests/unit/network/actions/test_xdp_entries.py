from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import PlatformError
from skerry.network.actions import Action, Flag, Limit, Match, Path, Policy, Protocol
from skerry.network.actions.xdp.entries import (
    MOST_ENTRIES,
    Entry,
    entries_of,
    entry_from_plain,
    entry_to_plain,
    find_guarded,
)
from skerry.network.actions.xdp.program import Listed, parse_status
from support.actions import Packet, matches, may_match

OWN = ip_network("10.9.3.2")
BY_SOURCE = Match(destination=OWN, sources=(ip_network("10.8.1.1"),))
BY_PORT = Match(destination=OWN, protocol=Protocol.TCP, destination_ports=(80,))
STATUS = """CURRENT XDP-FILTER STATUS:

Aggregate per-action statistics:
  XDP_DROP                                      12 pkts           0 KiB
  XDP_PASS                                   1,204 pkts          77 KiB

Loaded on interfaces:
                                           Enabled features
xdpfilt_alw_all
  eth0 (native mode)                       tcp,udp,ipv6,ipv4,ethernet,allow

Filtered ports:
                                           Mode             Hit counter
  80                                       dst,tcp          7

Filtered IP addresses:
                                           Mode             Hit counter
  ::ffff:10.1.2.3                          src              0
  10.9.1.2                                 src,dst          5

Filtered MAC addresses:
                                           Mode             Hit counter
  02:00:00:00:00:01                        src              3
"""


def entries(match, *destinations, limit=None):
    return entries_of(Action(match=match, limit=limit, ttl_s=60), destinations or (OWN,))


def hits(entry, packet):
    if entry.address is not None:
        return entry.address == (packet.source if entry.side == "src" else packet.destination)
    port = packet.source_port if entry.side == "src" else packet.destination_port
    return packet.protocol is entry.protocol and port == entry.port


@settings(max_examples=50)
@given(
    matches(narrow=False),
    st.sampled_from([Protocol.TCP, Protocol.UDP]),
    st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    st.randoms(use_true_random=False),
)
def test_entries_hit_what_a_match_hits_and_nothing_else(match, protocol, ports, random):
    # Most matches say what entries cannot; so one part of each is tried.
    parts = (
        {"protocol": None, "source_ports": (), "destination_ports": ()},
        {"sources": (), "spared": (), "source_ports": ()},
        {"sources": (), "spared": (), "destination_ports": ()},
    )
    sources = tuple(ip_network(network.network_address) for network in match.sources)
    plain = replace(match, sources=sources, flags=None, length_bytes=None, fragments=False)
    for part in parts:
        tried = replace(plain, **part)
        try:
            found = entries(tried, tried.destination)
        except PlatformError:
            continue
        sources = [network.network_address for network in tried.sources] or [tried.destination.network_address + 1]
        packet = Packet(
            source=random.choice(sources),
            destination=tried.destination.network_address,
            protocol=protocol,
            source_port=random.choice([*tried.source_ports, ports[0]]),
            destination_port=random.choice([*tried.destination_ports, ports[1]]),
        )
        assert any(hits(entry, packet) for entry in found) == may_match(tried, packet)


def test_each_source_or_port_is_an_entry_of_its_own():
    spared = (ip_network("10.8.1.0/30"),)
    sources = tuple(ip_network(text) for text in ("10.8.1.1", "10.8.1.9", "10.8.1.9"))
    (entry,) = entries(replace(BY_SOURCE, sources=sources, spared=spared))
    assert entry.words == ("ip", "10.8.1.9", "-m", "src")

    found = entries(replace(BY_PORT, destination_ports=(443, 80, 80)))
    assert [entry.words for entry in found] == [
        ("port", "80", "-m", "dst", "-p", "tcp"),
        ("port", "443", "-m", "dst", "-p", "tcp"),
    ]
    (entry,) = entries(Match(destination=OWN, protocol=Protocol.UDP, source_ports=(53,)))
    assert entry.words == ("port", "53", "-m", "src", "-p", "udp")

    elsewhere = ip_network("10.9.0.0/16")  # an entry about a destination is not wider than its action
    (entry,) = entries(Match(destination=OWN), elsewhere)
    assert entry.words == ("ip", "10.9.3.2", "-m", "dst")


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        (replace(BY_SOURCE, length_bytes=(40, 40)), "lengths"),
        (replace(BY_PORT, flags=Flag.SYN), "TCP flags"),
        (replace(BY_SOURCE, fragments=True), "fragments"),
        (replace(BY_SOURCE, sources=(ip_network("10.8.1.0/24"),)), "10.8.1.0/24 is a network"),
        (replace(BY_SOURCE, spared=(ip_network("10.8.0.0/16"),)), "spares all sources"),
        (replace(BY_SOURCE, sources=tuple(ip_network(0x0A080000 + n) for n in range(MOST_ENTRIES + 1))), "is the most"),
        (replace(BY_SOURCE, protocol=Protocol.UDP), "about one thing"),
        (replace(BY_PORT, sources=BY_SOURCE.sources), "about one thing"),
        (replace(BY_PORT, source_ports=(53,)), "about one thing"),
        (Match(destination=OWN, protocol=Protocol.ICMP), "about one thing"),
        (replace(BY_PORT, spared=BY_SOURCE.sources), "spares nobody"),
        (Match(destination=OWN, spared=BY_SOURCE.sources), "spares nobody"),
        (Match(destination=ip_network("10.9.3.0/24")), "is a network"),
    ],
)
def test_what_entries_cannot_say_is_refused_with_the_reason(match, reason):
    with pytest.raises(PlatformError, match=reason):
        entries(match)


def test_limits_are_refused():
    with pytest.raises(PlatformError, match="all or nothing"):
        entries(BY_SOURCE, limit=Limit(packets_per_s=10))


def test_an_action_is_refused_whose_entries_would_hit_what_goes_elsewhere():
    other, v6 = ip_network("10.9.3.3"), ip_network("fd00:9::1")
    for match in (BY_SOURCE, BY_PORT):
        with pytest.raises(PlatformError, match=r"what goes to 10\.9\.3\.3/32 as well"):
            entries(match, OWN, other)
    assert entries(replace(BY_SOURCE, destination=ip_network("10.9.3.0/24")), OWN, other)
    # What comes from an address goes to one of the same version; what goes to a port may be of either.
    assert entries(BY_SOURCE, OWN, v6)
    with pytest.raises(PlatformError, match="fd00:9::1/128 as well"):
        entries(BY_PORT, OWN, v6)


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        (Entry(side="src", address=ip_address("127.0.0.1")), "loopback"),
        (Entry(side="dst", address=ip_address("::1")), "loopback"),
        (Entry(side="src", address=ip_address("::")), "neighbours"),
        (Entry(side="src", address=ip_address("fe80::1")), "neighbours"),
        (Entry(side="src", address=ip_address("10.9.7.7")), "allow-list"),
        (Entry(side="dst", address=ip_address("10.9.7.7")), "allow-list"),
        (Entry(side="src", address=ip_address("10.9.4.1")), "would cut the path"),
        (Entry(side="dst", address=ip_address("10.9.3.1")), "would cut the path"),
        (Entry(side="dst", address=ip_address("10.9.4.1")), ""),
        (Entry(side="src", address=ip_address("10.9.3.1")), ""),
        (Entry(side="dst", port=80, protocol=Protocol.TCP), "allow-list"),
    ],
)
def test_each_entry_is_held_to_the_policy_whatever_its_action_says(entry, refused):
    path = Path(peer=ip_network("10.9.4.1"), local=ip_network("10.9.3.1"), protocol=Protocol.TCP, local_port=22)
    policy = Policy(scope=(ip_network("10.9.0.0/16"),), allowed=(ip_network("10.9.7.0/24"),), paths=(path,))

    found = find_guarded(entry, policy)

    assert refused in found if refused else found is None


@pytest.mark.parametrize(
    ("path", "side", "port", "protocol", "cut"),
    [
        ({"protocol": Protocol.TCP, "local_port": 22}, "dst", 22, Protocol.TCP, True),
        ({"protocol": Protocol.TCP, "local_port": 22}, "dst", 22, Protocol.UDP, False),
        ({"protocol": Protocol.TCP, "local_port": 22}, "dst", 80, Protocol.TCP, False),
        ({"protocol": Protocol.TCP, "local_port": 22}, "src", 80, Protocol.TCP, True),  # its peer may have any port
        ({"protocol": Protocol.UDP, "peer_port": 53}, "src", 53, Protocol.UDP, True),
        ({"protocol": Protocol.UDP, "peer_port": 53}, "dst", 80, Protocol.UDP, True),  # answers may come to any port
        ({}, "dst", 80, Protocol.TCP, True),
    ],
)
def test_a_port_that_the_machine_is_managed_through_is_no_entry(path, side, port, protocol, cut):
    managed = Path(peer=ip_network("10.9.4.1"), local=ip_network("10.9.3.1"), **path)

    found = find_guarded(Entry(side=side, port=port, protocol=protocol), Policy(scope=(OWN,), paths=(managed,)))

    assert (found is not None) == cut


def test_a_status_is_read():
    status = parse_status(STATUS)

    assert status.interfaces == {"eth0": frozenset({"tcp", "udp", "ipv6", "ipv4", "ethernet", "allow"})}
    assert status.entries == {
        80: Listed(modes=frozenset({"dst", "tcp"}), packets=7),
        ip_address("::ffff:10.1.2.3"): Listed(modes=frozenset({"src"}), packets=0),
        ip_address("10.9.1.2"): Listed(modes=frozenset({"src", "dst"}), packets=5),
    }
    assert status.holds(Entry(side="src", address=ip_address("10.9.1.2")))
    assert not status.holds(Entry(side="src", port=80, protocol=Protocol.TCP))
    assert parse_status("") == parse_status("CURRENT XDP-FILTER STATUS:\n")


def test_an_entry_is_plain_values_and_back():
    for entry in (*entries(BY_SOURCE), *entries(BY_PORT)):
        assert entry_from_plain(entry_to_plain(entry)) == entry
