import struct

import pytest

from skerry.network.flows import FlowDecoder
from support import flow_traffic as traffic
from support.flow_messages import datagram

PACKET = traffic.ETHERNET + traffic.ipv4("10.0.0.1", "10.0.0.2", 6, traffic.tcp(1_000, 443, 0x18, 60))


def item(kind, body):
    return struct.pack(">II", kind, len(body)) + body


def raw_header(packet, link=1, wire_bytes=None):
    padded = packet + bytes(-len(packet) % 4)
    return item(1, struct.pack(">IIII", link, wire_bytes or len(packet), 4, len(packet)) + padded)


def flow_sample(*records, rate=100):
    return item(1, struct.pack(">IIIIIIII", 1, 3, rate, 1_000, 0, 1, 2, len(records)) + b"".join(records))


def expanded_sample(*records, rate=100):
    head = struct.pack(">IIIIIIIIIII", 1, 0, 3, rate, 1_000, 0, 0, 1, 0, 2, len(records))
    return item(3, head + b"".join(records))


def message(*samples, sequence=0, agent=bytes([10, 9, 9, 9]), count=None):
    kind = 1 if len(agent) == 4 else 2
    tail = struct.pack(">IIII", 7, sequence, 90_000, len(samples) if count is None else count)
    return struct.pack(">II", 5, kind) + agent + tail + b"".join(samples)


def decode(*messages):
    decoder = FlowDecoder()
    return decoder, list(decoder.decode([datagram(each) for each in messages]).rows())


@pytest.mark.parametrize("sample", [flow_sample, expanded_sample])
def test_a_sampled_header_becomes_a_record_that_stands_for_many(sample):
    _, (row,) = decode(message(sample(item(1_001, bytes(16)), raw_header(PACKET))))

    assert (row["exporter"], row["domain"], row["source"], row["destination"]) == (
        "10.9.9.9",
        7,
        "10.0.0.1",
        "10.0.0.2",
    )
    assert (row["source_port"], row["destination_port"], row["protocol"], row["tcp_flags"]) == (1_000, 443, 6, 0x18)
    assert (row["packets"], row["bytes"], row["sampling"]) == (100, 10_000, 100)


def test_an_agent_may_have_an_address_of_ipv6():
    _, (row,) = decode(message(flow_sample(raw_header(PACKET[14:], link=11)), agent=bytes(15) + b"\1"))

    assert (row["exporter"], row["source"]) == ("::1", "10.0.0.1")


def test_fields_that_an_agent_has_read_itself_are_taken_where_there_is_no_header():
    fields = struct.pack(">IIIIIIII", 60, 17, 0x0A000001, 0x0A000002, 53, 5_353, 0, 0)

    _, (row,) = decode(message(flow_sample(item(3, fields), rate=10)))

    assert (row["source"], row["destination_port"], row["packets"], row["bytes"]) == ("10.0.0.1", 5_353, 10, 600)


def test_packets_that_are_no_ip_are_left_out():
    arp = traffic.ETHERNET[:12] + b"\x08\x06" + bytes(28)

    decoder, rows = decode(message(flow_sample(raw_header(arp)), flow_sample(raw_header(PACKET, link=9))))

    assert (rows, decoder.counts.other_records, decoder.counts.refused) == ([], 1, {})


def test_a_rate_of_zero_is_no_sampling():
    _, (row,) = decode(message(flow_sample(raw_header(PACKET), rate=0)))

    assert row["packets"] == 1


def test_a_datagram_that_is_missing_is_counted():
    decoder, _ = decode(message(sequence=1), message(sequence=4))

    assert (decoder.counts.gaps, decoder.counts.lost) == (1, 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack(">I", 5), "truncated_header"),
        (struct.pack(">II", 5, 1) + bytes(10), "truncated_header"),
        (struct.pack(">II", 5, 9) + bytes(40), "unknown_agent"),
        (message(count=1), "truncated_sample"),
        (message(struct.pack(">II", 1, 99)), "truncated_sample"),
        (message(item(1, bytes(8))), "truncated_sample"),
        (message(item(2, bytes(8))), "truncated_sample"),
        (message(flow_sample(item(1, bytes(4)))), "truncated_sample"),
        (message(flow_sample(item(3, bytes(4)))), "truncated_sample"),
        (message(flow_sample(struct.pack(">II", 1, 1 << 31))), "truncated_sample"),
    ],
)
def test_what_cannot_be_read_is_counted_and_what_was_whole_is_kept(data, reason):
    whole = message(flow_sample(raw_header(PACKET)), data[28:], count=2) if data[28:] else message()

    decoder, rows = decode(data, whole)

    assert decoder.counts.refused[reason] >= 1
    assert len(rows) == (1 if data[28:] else 0)
