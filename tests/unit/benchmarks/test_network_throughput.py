"""The benchmark of the whole loop: its exporter, and its search for a rate."""

import socket

import pytest

pytest.importorskip("numpy")

from benchmarks.network.throughput.exporter import IPFIX, NETFLOW_9, PER_DATAGRAM, make_plan, send
from benchmarks.network.throughput.flows import highest
from skerry.network.flows import Datagram, FlowDecoder


@pytest.mark.parametrize("version", [IPFIX, NETFLOW_9])
def test_all_that_is_planned_can_be_read(version):
    plan = make_plan(2400, 5.0, version=version)

    decoder = FlowDecoder()
    batch = decoder.decode([Datagram(data, bytes([127, 0, 0, 1]), 2055, 1) for data in plan.datagrams])

    assert (len(batch), batch["packets"].sum()) == (plan.records, plan.packets) == (12_000, plan.packets)
    assert (decoder.counts.gaps, decoder.counts.late, decoder.counts.restarts, decoder.counts.refused) == (0, 0, 0, {})
    # The pulse of openings is there, and is not all there is.
    assert 0.02 < (batch["tcp_flags"] == 2).mean() < 0.1


def test_a_plan_is_sent_in_its_order_and_its_time():
    plan = make_plan(4800, 0.1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here:
        here.bind(("127.0.0.1", 0))
        here.settimeout(60)
        late_s = send(plan, here.getsockname()[1])

        assert [here.recv(65_535) for _ in plan.datagrams] == list(plan.datagrams)

    assert len(plan.datagrams) * PER_DATAGRAM == plan.records
    assert late_s >= 0


@pytest.mark.parametrize("limit", [0.5, 90, 100, 130, 1000])
@pytest.mark.parametrize("start", [100.0, 300.0])
def test_the_highest_rate_is_the_last_below_one_that_was_not_kept(limit, start):
    tried = []

    def kept(rate):
        tried.append(rate)
        return rate <= limit

    best = highest(kept, start, step=2.0)

    assert best <= limit < 2 * best
    assert len(set(tried)) == len(tried)


def test_the_search_ends_where_no_rate_is_kept():
    assert highest(lambda rate: False, 100.0, most=5) == 0.0
