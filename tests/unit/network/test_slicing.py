from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.network.actions import Flag, Protocol
from skerry.network.slicing import slice_by_destination
from support.flow_batches import batch

SYN, ACK, PSH, FIN = 2, 16, 8, 1


def test_packets_of_one_conversation_are_one_slice_with_the_flags_of_all():
    (found,) = slice_by_destination(
        batch(
            ("10.0.0.1", "10.9.3.2", 4000, 80, 6, SYN, 1, 60),
            ("10.0.0.1", "10.9.3.2", 4000, 80, 6, ACK | PSH, 2, 1000),
            ("10.0.0.1", "10.9.3.2", 4000, 80, 6, FIN | ACK, 1, 52),
        )
    )

    (part,) = found.slices
    assert found.destination == IPv4Address("10.9.3.2")
    assert (part.source, part.protocol, part.source_port) == (IPv4Address("10.0.0.1"), Protocol.TCP, 4000)
    assert part.flags == Flag.SYN | Flag.ACK | Flag.FIN
    assert (part.packets, part.length_bytes) == (4, 278)
    assert not part.opens_only


def test_a_packet_that_opens_a_connection_and_nothing_more_is_seen_as_that():
    (found,) = slice_by_destination(batch(("10.0.0.1", "10.9.3.2", 4000, 80, 6, SYN, 1, 60)))

    assert found.slices[0].opens_only


def test_later_pieces_of_datagrams_and_control_messages_have_no_ports():
    (found,) = slice_by_destination(
        batch(
            ("10.0.0.1", "10.9.3.2", 0, 0, 17, 0, 3, 4500),
            ("10.0.0.1", "10.9.3.2", 0, 2048, 1, 0, 1, 84),
            ("10.0.0.1", "10.9.3.2", 53, 4000, 17, 0, 1, 500),
        )
    )

    parts = {(part.protocol, part.source_port): part for part in found.slices}
    assert parts[Protocol.UDP, 0].fragments
    assert not parts[Protocol.UDP, 53].fragments
    assert parts[Protocol.ICMP, 0].destination_port == 0
    assert all(part.flags is None for part in found.slices)


@pytest.mark.parametrize(
    ("scope", "wanted"),
    [
        (["10.9.3.0/24"], {"10.9.3.2"}),
        (["2001:db8::/64"], {"2001:db8::1"}),
        (["10.9.3.0/24", "2001:db8::/64"], {"10.9.3.2", "2001:db8::1"}),
        ([], {"10.9.3.2", "10.9.4.2", "10.9.2.255", "2001:db8::1", "2001:db8:0:1::1"}),
    ],
)
def test_only_the_scope_is_watched(scope, wanted):
    ends = ["10.9.3.2", "10.9.4.2", "10.9.2.255"]
    rows = [("10.0.0.1", end, 1, 2, 17, 0, 1, 100) for end in ends]
    rows += [("2001:db8:9::1", end, 1, 2, 17, 0, 1, 100) for end in ("2001:db8::1", "2001:db8:0:1::1")]

    found = list(slice_by_destination(batch(*rows), [ip_network(text) for text in scope]))

    assert {str(each.destination) for each in found} == wanted
    assert all(type(part.source) is type(each.destination) for each in found for part in each.slices)
    assert any(isinstance(each.destination, IPv6Address) for each in found) == any(":" in text for text in wanted)


def test_records_that_cannot_be_are_left_out():
    found = slice_by_destination(
        batch(
            ("10.0.0.1", "10.9.3.2", 4000, 80, 6, SYN, 1, 60),
            ("10.0.0.2", "10.9.3.2", 4000, 80, 6, SYN, 0, 60),
            ("10.0.0.3", "10.9.3.2", 4000, 80, 6, SYN, float("nan"), 60),
            ("::", "10.9.3.2", 4000, 80, 6, SYN, 1, 60),
            ("10.0.0.1", "2001:db8::1", 4000, 80, 6, SYN, 1, 60),
            ("::", "2001:db8::2", 4000, 80, 6, SYN, 1, 60),
        )
    )

    assert {str(each.destination): [str(part.source) for part in each.slices] for each in found} == {
        "10.9.3.2": ["10.0.0.1"],
        "2001:db8::2": ["::"],
    }


def test_many_records_of_no_packets_are_no_traffic():
    rows = [(f"10.1.0.{number}", "10.9.3.2", 9, 80, 6, SYN, 0, 40) for number in range(20)]

    assert list(slice_by_destination(batch(*rows), most=4)) == []


@given(st.lists(st.integers(1, 5), min_size=1, max_size=300), st.integers(4, 50))
def test_a_flood_becomes_few_slices_that_stand_for_all_its_packets(packets, most):
    rows = [
        (f"10.1.{number // 250}.{number % 250}", "10.9.3.2", 9, 80, 6, SYN, count, 40 * count)
        for number, count in enumerate(packets)
    ]

    (found,) = slice_by_destination(batch(*rows), most=most)

    assert len(found.slices) <= max(most, 4)
    assert sum(part.packets for part in found.slices) == pytest.approx(sum(packets))
