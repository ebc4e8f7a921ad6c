"""Datagrams that nobody's exporter sends: any bytes, and golden ones with errors."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skerry.network.features import Window, measure
from skerry.network.flows import FlowBatch, FlowDecoder
from skerry.network.flows.packets.headers import Link, read_headers
from skerry.network.flows.packets.recording import read_datagrams
from support.flow_messages import datagram, field, flow_set, ipfix

GOLDEN = Path(__file__).parents[3] / "data" / "flows"
SEEDS = [[each.data for some in read_datagrams(path) for each in some][:6] for path in sorted(GOLDEN.glob("*.pcap.gz"))]
HEADS = [b"", b"\0\5", b"\0\x09", b"\0\x0a", b"\0\0\0\5\0\0\0\1", ipfix()[:2] + b"\xff\xff"]

# What a byte of a golden datagram becomes: lengths and counts at their limits do most harm.
changes = st.lists(
    st.tuples(
        st.integers(0, 1_400), st.sampled_from([b"\0", b"\xff", b"\0\0", b"\xff\xff", b"\x01", b"\x80", b"\0\4"])
    ),
    max_size=8,
)


def read_all(messages):
    """Decode messages with one decoder, and measure what they hold."""
    decoder = FlowDecoder(max_waiting_bytes=20_000)
    batch = FlowBatch.join([decoder.decode([datagram(each) for each in messages])])
    assert decoder.counts.datagrams == len(messages)
    assert len(list(batch.rows())) == len(measure(batch, Window(start_ms=0, width_ms=1_000), by=())) * len(batch)
    decoder.take_counters()


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(st.sampled_from(HEADS), st.binary(max_size=200)), max_size=4))
def test_any_bytes_are_records_or_refusals(drawn):
    read_all([head + tail for head, tail in drawn])


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(SEEDS), changes, st.integers(0, 1_400))
def test_golden_datagrams_with_errors_are_records_or_refusals(seed, errors, cut):
    damaged = []
    for number, message in enumerate(seed):
        broken = bytearray(message)
        for at, value in errors[number % 2 :: 2]:
            at %= len(broken)
            broken[at : at + len(value)] = value
        damaged.append(bytes(broken[: len(broken) - cut % len(broken) // 4]))
    read_all(damaged)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=170), st.sampled_from([*Link, 77])), max_size=5))
def test_any_packet_has_headers(drawn):
    headers = read_headers([data for data, _ in drawn], [link for _, link in drawn])

    assert set(headers["family"].tolist()) <= {0, 4, 6}


@pytest.mark.parametrize(
    "body",
    [
        flow_set(2, b"".join(struct.pack(">HH", 256 + i, 1) + field(8, 4) for i in range(8_000))),
        b"".join(flow_set(300 + i % 5_000, b"x") for i in range(12_000)),
        flow_set(2, struct.pack(">HH", 256, 2) + field(8, 0xFFFF) + field(9, 0xFFFF)) + flow_set(256, bytes(60_000)),
        b"".join(flow_set(9, b"") for _ in range(16_000)),
    ],
)
def test_a_datagram_that_is_all_templates_or_sets_is_read_within_bounds(body):
    decoder = FlowDecoder()

    decoder.decode([datagram(ipfix(body[:65_500]))])

    assert decoder.counts.templates <= 256
    assert decoder.counts.sets_held <= 14_000
