import socket
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import ConfigError
from skerry.network.flows import FlowBatch, FlowCollector
from skerry.network.sensing import MOST_SPANS, OLDEST_MS, FlowSensor, FlowWindows
from support.flow_batches import batch
from support.flow_messages import netflow5, record5

TEN = 10_000
SYN = 2


def arrived(at_ms, *, told_ms=None, count=1):
    """Return records of opening packets, each from a source of its own."""
    found = batch(*[(f"10.0.0.{number}", "10.9.3.2", 4000, 80, 6, SYN, 1, 40) for number in range(1, count + 1)])
    found.records["received_ms"] = at_ms
    found.records["last_ms"] = at_ms if told_ms is None else told_ms
    return found


def counts(windows):
    return [(round(window.ended_s * 1000), round(window.features["packets_per_s"])) for window in windows]


def test_a_window_is_handed_over_when_it_has_ended_and_its_records_had_time_to_come():
    windows = FlowWindows(width_ms=200, late_ms=60)
    windows.add(arrived(TEN + 10, count=3))
    windows.add(arrived(TEN + 190, count=1))

    assert windows.ended(TEN + 259) == []
    assert windows.next_end_ms() == TEN + 260
    assert counts(windows.ended(TEN + 260)) == [(TEN + 200, 20)]
    assert windows.ended(TEN + 10_000) == []
    assert windows.next_end_ms() is None


def test_packets_that_are_told_together_are_taken_apart_by_when_they_came():
    windows = FlowWindows(width_ms=100, clock="last_ms", late_ms=20)
    windows.add(FlowBatch.join([arrived(TEN + 1000, told_ms=TEN + at_ms, count=2) for at_ms in range(0, 1000, 50)]))

    ended = windows.ended(TEN + 1001)

    # The last two have not ended: nothing has come that is later than they are.
    assert counts(ended) == [(TEN + at_ms, 40) for at_ms in range(100, 1000, 100)]


def test_a_window_ends_without_later_records_when_nothing_comes_for_long():
    windows = FlowWindows(width_ms=100, clock="last_ms", idle_ms=2000)
    windows.add(arrived(TEN + 90, told_ms=TEN + 50))

    assert windows.ended(TEN + 2000) == []
    assert windows.next_end_ms() == TEN + 2090
    assert counts(windows.ended(TEN + 2090)) == [(TEN + 100, 10)]


def test_an_exporter_whose_clock_is_ahead_does_not_end_windows_of_the_future():
    windows = FlowWindows(width_ms=100, clock="last_ms", late_ms=20)
    windows.add(arrived(TEN + 10, told_ms=TEN + 900_000))
    windows.add(arrived(TEN + 230, told_ms=TEN + 900_500))

    assert counts(windows.ended(TEN + 230)) == [(TEN + 100, 10)]


def test_records_of_long_ago_belong_to_a_few_seconds_before_they_arrived():
    windows = FlowWindows(width_ms=100, clock="last_ms", late_ms=20)
    told = [arrived(TEN + 900_010, told_ms=at_ms) for at_ms in range(0, 800_000, 1000)]
    windows.add(FlowBatch.join([*told, arrived(TEN + 900_010, told_ms=TEN + 900_000)]))

    ended = counts(windows.ended(TEN + 900_010))

    assert ended == [(TEN + 900_000 - OLDEST_MS + 100, 8000)]


def test_many_windows_are_handed_over_in_parts_the_earliest_first():
    windows = FlowWindows(width_ms=10, late_ms=0)
    windows.add(FlowBatch.join([arrived(TEN + at_ms) for at_ms in range(0, 1000, 10)]))

    parts = [windows.ended(TEN + 1000) for _ in range(3)]

    assert [len(part) for part in parts] == [MOST_SPANS, MOST_SPANS, 0]
    ends = [each.ended_s for part in parts for each in part]
    assert ends == sorted(ends)


def test_a_clock_that_is_set_back_does_not_end_windows_too_early():
    windows = FlowWindows(width_ms=100, clock="last_ms", late_ms=20)
    windows.add(arrived(TEN + 60_000))
    windows.add(arrived(TEN + 10))
    windows.add(arrived(TEN + 50))

    assert windows.ended(TEN + 60) == []
    windows.add(arrived(TEN + 130))
    assert counts(windows.ended(TEN + 130)) == [(TEN + 100, 20)]


def test_records_that_come_when_their_window_has_ended_count_in_the_next_one():
    windows = FlowWindows(width_ms=100, late_ms=20)
    windows.add(arrived(TEN + 10))
    assert counts(windows.ended(TEN + 120)) == [(TEN + 100, 10)]

    windows.add(FlowBatch.join([arrived(TEN + 90, count=2), arrived(TEN + 130), arrived(TEN + 210)]))

    assert counts(windows.ended(TEN + 1000)) == [(TEN + 200, 30), (TEN + 300, 10)]


def test_records_that_have_waited_for_their_template_do_not_make_a_flood_of_the_window_that_is_open():
    windows = FlowWindows(width_ms=100, late_ms=20)
    windows.add(arrived(TEN + 60_000))
    assert counts(windows.ended(TEN + 61_000)) == [(TEN + 60_100, 10)]

    windows.add(FlowBatch.join([*(arrived(TEN + at_ms) for at_ms in (0, 30_000)), arrived(TEN + 61_010)]))

    assert counts(windows.ended(TEN + 62_000)) == [(TEN + 100, 10), (TEN + 30_100, 10), (TEN + 61_100, 10)]


def test_a_clock_that_is_set_back_does_not_move_records_into_the_future():
    windows = FlowWindows(width_ms=100, late_ms=20)
    windows.add(arrived(TEN + 60_010))
    windows.ended(TEN + 61_000)

    assert windows.ended(TEN + 60_000) == []
    windows.add(arrived(TEN + 60_020))

    assert counts(windows.ended(TEN + 60_120)) == [(TEN + 60_100, 10)]


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.sampled_from(["received_ms", "last_ms"]))
def test_no_packet_is_lost_or_counted_twice(times, clock):
    windows = FlowWindows(width_ms=100, clock=clock)
    seen = 0.0
    for at_ms in sorted(times):
        windows.add(arrived(TEN + at_ms))
        seen += sum(each.features["packets_per_s"] * each.length_s for each in windows.ended(TEN + at_ms))
    seen += sum(each.features["packets_per_s"] * each.length_s for each in windows.ended(TEN + 100_000))

    assert seen == pytest.approx(len(times))


def test_a_window_that_cannot_be_made_is_said_and_those_before_and_after_it_are_handed_over():
    spans = []

    def know(destination):
        spans.append(destination)
        if len(spans) == 2:
            raise ValueError("as the test says")
        return ()

    windows = FlowWindows(width_ms=100, known=know)
    windows.add(FlowBatch.join([arrived(TEN + at_ms) for at_ms in (10, 110, 210)]))

    assert counts(windows.ended(TEN + 1000)) == [(TEN + 100, 10)]
    with pytest.raises(ValueError, match="as the test says"):
        windows.ended(TEN + 1000)
    assert counts(windows.ended(TEN + 1000)) == [(TEN + 300, 10)]


def test_sources_that_were_seen_before_are_not_new():
    known = {arrived(TEN).records["source"][0]["low"]}
    windows = FlowWindows(known=lambda destination: [type(destination)(int(low) & 0xFFFF_FFFF) for low in known])
    windows.add(arrived(TEN, count=4))

    (window,) = windows.ended(TEN + 1000)
    assert window.features["new_sources_ratio"] == 0.75


def test_windows_are_not_shorter_than_ten_milliseconds():
    with pytest.raises(ConfigError, match="from 10 ms"):
        FlowWindows(width_ms=9)


def test_the_sensor_waits_for_datagrams_and_gives_what_they_tell():
    with FlowCollector(port=0, interval_ms=5) as collector, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sensor = FlowSensor(collector, FlowWindows(width_ms=50, late_ms=10))
        assert list(sensor(0.01)) == []
        sender.sendto(netflow5(record5()), ("127.0.0.1", collector.port))
        ends_at = time.monotonic() + 30
        while not (found := sensor(0.5)) and time.monotonic() < ends_at:
            pass

    assert len(found) == 1
    assert found[0].slices


def test_a_window_that_waits_with_the_collector_is_judged_as_a_whole():
    waiting = [arrived(TEN + at_ms, count=2) for at_ms in (10, 50, 90)]
    collector = SimpleNamespace(take=lambda wait_s: waiting.pop(0) if waiting else None)
    sensor = FlowSensor(collector, FlowWindows(width_ms=100))

    assert counts(sensor(0.0)) == [(TEN + 100, 60)]


@pytest.mark.parametrize("clock", ["received_ms", "last_ms"])
def test_windows_whose_records_wait_long_in_a_buffer_are_not_ended_piece_by_piece(clock):
    begins_ms = (time.time_ns() // 1_000_000 - 4000) // 100 * 100
    waiting = []
    collector = SimpleNamespace(take=lambda wait_s: waiting.pop(0) if waiting else None)
    sensor = FlowSensor(collector, FlowWindows(width_ms=100, clock=clock, late_ms=20))
    found = []
    for at_ms in (10, 50, 90, 130, 170, 230):
        waiting = [arrived(begins_ms + at_ms)]
        found += sensor(0.0)

    assert counts(found) == [(begins_ms + 100, 30), (begins_ms + 200, 20)]


def test_records_that_have_waited_for_their_template_keep_no_window_open():
    windows = FlowWindows(width_ms=100, late_ms=20)
    windows.add(arrived(TEN + 60_010), now_ms=TEN + 60_011)
    windows.add(arrived(TEN), now_ms=TEN + 60_012)

    assert windows.next_end_ms() == TEN + 120
    assert counts(windows.ended(TEN + 60_120)) == [(TEN + 100, 10), (TEN + 60_100, 10)]
