import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.network.features import FEATURES, KnownSources, Window, measure, split
from skerry.network.flows import FlowBatch
from skerry.network.flows.batch import FLOW, addresses

SECOND = Window(start_ms=0, width_ms=1_000)


def batch_of(*flows):
    """Return a batch of (source, destination, protocol, source port, destination port, flags, packets, bytes)."""
    records = np.zeros(len(flows), FLOW)
    for i, (source, destination, *rest) in enumerate(flows):
        records[i]["source"] = addresses([source])[0]
        records[i]["destination"] = addresses([destination])[0]
        for name, value in zip(
            ("protocol", "source_port", "destination_port", "tcp_flags", "packets", "bytes"), rest, strict=True
        ):
            records[i][name] = value
    records["sampling"] = 1
    return FlowBatch(records=records)


def flood(count):
    return [(f"198.51.100.{i + 1}", "203.0.113.9", 6, 1_024 + i, 80, 2, 1, 40) for i in range(count)]


WEB = ("192.0.2.7", "203.0.113.80", 6, 51_515, 443, 0x1B, 30, 30_000)


def rows_by_destination(table):
    return {row["destination"]: row for row in table.rows()}


def test_a_flood_and_a_download_look_different():
    rows = rows_by_destination(measure(batch_of(*flood(16), WEB), SECOND))

    attack, download = rows["203.0.113.9"], rows["203.0.113.80"]
    assert (attack["packet_rate"], attack["byte_rate"], attack["flow_rate"]) == (16, 640, 16)
    assert (attack["sources"], attack["source_entropy_bits"]) == (16, pytest.approx(4))
    assert (attack["syn_ratio"], attack["one_packet_ratio"], attack["packet_bytes"]) == (1, 1, 40)
    assert (attack["packet_bytes_deviation"], attack["packet_bytes_entropy_bits"]) == (0, 0)
    assert (download["syn_ratio"], download["source_entropy_bits"], download["packets_per_flow"]) == (0, 0, 30)
    assert download["packet_bytes"] == 1_000


def test_rates_are_per_second_whatever_the_window():
    table = measure(batch_of(WEB), Window(start_ms=0, width_ms=200))

    assert table["packet_rate"].tolist() == [150]


def test_rows_are_what_is_asked_for():
    batch = batch_of(*flood(3), WEB, ("192.0.2.7", "203.0.113.9", 17, 5, 53, 0, 1, 60))

    assert [len(measure(batch, SECOND, by=by)) for by in [(), ("destination",), ("protocol",)]] == [1, 2, 2]
    assert len(measure(batch, SECOND)) == 3
    (everything,) = measure(batch, SECOND, by=()).rows()
    assert (everything["destination"], everything["protocol"], everything["flow_rate"]) == (None, None, 5)
    with pytest.raises(ConfigError, match="by="):
        measure(batch, SECOND, by=("source",))


def test_flags_are_shares_of_packets():
    kinds = {0x02: 1, 0x12: 2, 0x10: 3, 0x18: 4, 0x11: 5, 0x14: 6, 0x00: 7, 0x06: 8}
    batch = batch_of(*[("192.0.2.1", "203.0.113.9", 6, 1, 2, flags, n, n) for flags, n in kinds.items()])

    (row,) = measure(batch, SECOND).rows()

    shares = {name: round(row[f"{name}_ratio"] * 36) for name in ("syn", "syn_ack", "ack", "fin", "rst", "no_flag")}
    assert shares == {"syn": 1, "syn_ack": 2, "ack": 7, "fin": 5, "rst": 14, "no_flag": 7}


def test_sources_that_were_seen_are_not_new():
    batch = batch_of(*flood(4))
    known = KnownSources().remember(addresses(["198.51.100.1", "198.51.100.2", "2001:db8::1"]), now_ms=0)

    assert measure(batch, SECOND, known=known)["new_source_ratio"].tolist() == [0.5]
    assert measure(batch, SECOND)["new_source_ratio"].tolist() == [1]


def test_sources_are_forgotten_after_two_periods():
    one, two = addresses(["192.0.2.1"]), addresses(["192.0.2.2"])
    known = KnownSources(period_ms=100).remember(one, now_ms=0)

    later = known.remember(two, now_ms=150)
    latest = later.remember(two, now_ms=260)

    assert (later.knows(one).all(), latest.knows(one).any(), latest.knows(two).all()) == (True, False, True)
    assert not known.remember(two, now_ms=900).knows(one).any()


def test_how_many_sources_are_remembered_has_a_bound():
    known = KnownSources(most=10).remember(addresses([f"10.0.0.{i}" for i in range(200)]), now_ms=0)

    assert len(known.now) == 10


def test_ipv6_destinations_that_share_half_an_address_are_different():
    batch = batch_of(
        ("2001:db8::1", "2001:db8:1::9", 17, 1, 2, 0, 1, 100), ("2001:db8::1", "2001:db8:2::9", 17, 1, 2, 0, 3, 100)
    )

    rows = rows_by_destination(measure(batch, SECOND))

    assert {name: row["packet_rate"] for name, row in rows.items()} == {"2001:db8:1::9": 1, "2001:db8:2::9": 3}


def test_windows_hold_the_records_of_their_time():
    batch = batch_of(*flood(4))
    batch.records["received_ms"] = [2_500, 100, 2_999, 1_000]

    found = [(window.start_ms, len(records)) for window, records in split(batch, 1_000)]

    assert found == [(0, 1), (1_000, 1), (2_000, 2)]


def test_absurd_records_give_numbers():
    batch = batch_of(("10.0.0.1", "10.0.0.2", 6, 1, 2, 0xFFF, 1.8e19, 0), ("10.0.0.1", "10.0.0.2", 6, 1, 2, 2, 0, 1e28))
    batch.records["last_ms"] = -(1 << 43)

    assert np.isfinite(measure(batch, SECOND).matrix()).all()


def test_a_matrix_has_a_column_for_each_feature():
    assert measure(batch_of(*flood(2), WEB), SECOND).matrix().shape == (2, len(FEATURES))
    assert measure(FlowBatch(), SECOND).matrix().shape == (0, len(FEATURES))


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.sampled_from([6, 17]), st.integers(0, 5)),
        min_size=1,
        max_size=30,
    )
)
def test_features_are_what_a_loop_over_records_finds(drawn):
    flows = [(f"10.0.0.{s}", f"10.1.0.{d}", p, 1, 80, 2, n, n * 40) for s, d, p, n in drawn]

    table = measure(batch_of(*flows), SECOND)

    expected = {}
    for flow in flows:
        expected.setdefault((flow[1], flow[2]), []).append(flow)
    assert {(row["destination"], row["protocol"]) for row in table.rows()} == set(expected)
    for row in table.rows():
        group = expected[row["destination"], row["protocol"]]
        total = sum(flow[6] for flow in group)
        by_source = {}
        for flow in group:
            by_source[flow[0]] = by_source.get(flow[0], 0) + flow[6]
        shares = [count / total for count in by_source.values() if count]
        assert row["packet_rate"] == total
        assert row["sources"] == len(by_source)
        assert row["source_entropy_bits"] == pytest.approx(-sum(s * math.log2(s) for s in shares), abs=1e-9)
        assert row["top_source_ratio"] == pytest.approx(max(shares, default=0))
