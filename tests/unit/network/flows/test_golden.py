"""What real exporters sent (tests/data/flows/record.py), read by us and by nfdump."""

import json
from collections import Counter
from pathlib import Path

import pytest

from skerry.network.flows import FlowBatch, FlowDecoder
from skerry.network.flows.packets.recording import read_datagrams

GOLDEN = Path(__file__).parents[3] / "data" / "flows"
NAMES = sorted(path.name.removesuffix(".pcap.gz") for path in GOLDEN.glob("*.pcap.gz"))
NFDUMP = {name: [tuple(row) for row in rows] for name, rows in json.loads((GOLDEN / "nfdump.json").read_text()).items()}
COLUMNS = ("source", "destination", "source_port", "destination_port", "protocol", "tcp_flags", "packets", "bytes")

# nfdump reads these differently, and each test below says how.
SAMPLED = ["pmacct-9-sampled", "softflowd-9-sampled"]
SFLOW = ["openvswitch-sflow", "pmacct-sflow"]
OTHERS = ["openvswitch-ipfix", "pmacct-9", "softflowd-ipfix-bidirectional"]


def decode(name):
    decoder = FlowDecoder()
    batch = FlowBatch.join([decoder.decode(some) for some in read_datagrams(GOLDEN / f"{name}.pcap.gz")])
    return decoder, batch


def rows_of(name):
    _, batch = decode(name)
    return [tuple(row[column] for column in COLUMNS) for row in batch.rows()]


def truth():
    """Return the flows of the traffic, as softflowd saw them."""
    return NFDUMP["softflowd-ipfix"]


@pytest.mark.parametrize("name", NAMES)
def test_every_datagram_is_read_whole_and_none_is_missed(name):
    decoder, batch = decode(name)

    counts = decoder.counts
    assert len(batch) == counts.records > 0
    assert (counts.refused, counts.lost, counts.gaps, counts.late, counts.restarts) == ({}, 0, 0, 0, 0)
    assert counts.sets_held == 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {*SAMPLED, *SFLOW, *OTHERS}])
def test_records_are_those_that_nfdump_reads(name):
    assert sorted(rows_of(name)) == sorted(NFDUMP[name])


@pytest.mark.parametrize("name", SAMPLED)
def test_sampled_records_are_multiplied_where_nfdump_leaves_them(name):
    _, batch = decode(name)

    assert (batch["sampling"] == 2).all()
    scaled = Counter((*row[:3], row[4], row[5], row[6] * 2, row[7] * 2) for row in NFDUMP[name])
    assert Counter((*row[:3], *row[4:]) for row in rows_of(name)) == scaled


@pytest.mark.parametrize("name", SFLOW)
def test_sampled_packets_are_those_of_nfdump_which_counts_frames_where_we_count_ip(name):
    ours, theirs = rows_of(name), NFDUMP[name]

    # nfdump does not read the type of ICMP here.
    assert Counter((*row[:3], row[4], row[6]) for row in ours) == Counter((*row[:3], row[4], row[6]) for row in theirs)
    assert all(18 <= frame - ip <= 22 for frame, ip in zip(_sizes(theirs), _sizes(ours), strict=True))


def _sizes(rows):
    return sorted(row[7] / row[6] for row in rows)


def test_pmacct_has_the_type_of_icmp_in_the_port_also_without_a_field_for_it():
    assert sorted(row for row in rows_of("pmacct-9") if row[4] != 1) == sorted(
        row for row in NFDUMP["pmacct-9"] if row[4] != 1
    )
    assert [row[3] for row in rows_of("pmacct-9") if row[4] == 1] == [0x0800]


def test_records_of_both_directions_are_the_flows_of_each():
    assert sorted(rows_of("softflowd-ipfix-bidirectional")) == sorted(truth())


def test_open_vswitch_tells_each_packet_at_each_of_three_ports():
    seen = Counter()
    for *flow, _, packets, octets in rows_of("openvswitch-ipfix"):
        seen[tuple(flow)] += packets
        assert octets / packets <= 1500
    flags = {row[0]: row[5] for row in rows_of("openvswitch-ipfix")}

    assert seen == {row[:5]: 3 * row[6] for row in truth()}
    assert flags["198.51.100.1"] == 2


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("softflowd", "nfdump"))])
def test_times_are_those_of_the_packets(name):
    _, batch = decode(name)

    # NetFlow v9 tells when the exporter started to a second.
    assert abs(batch["first_ms"].min() - 1_750_000_000_000) <= 1_000
    connection = batch.select((batch["destination_port"] == 443) & (batch["protocol"] == 6) & (batch["packets"] > 3))
    assert (abs(connection["last_ms"] - connection["first_ms"] - 80) <= 3).all()


def test_counters_of_interfaces_are_read():
    decoder, _ = decode("openvswitch-sflow")

    counters = decoder.take_counters()

    assert len(counters) == decoder.counts.counters > 0
    assert set(counters["speed_bps"].tolist()) == {10_000_000_000}
    assert counters["in_unicast"].max() == 39
    assert len(decoder.take_counters()) == 0
