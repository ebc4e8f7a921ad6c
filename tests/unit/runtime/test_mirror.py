"""Copies of requests: the callers do not notice them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import QueueFullError, StartError, WorkerLostError
from skerry.runtime.frames import Kind
from skerry.runtime.mirror import LOWEST_URGENCY, Mirror
from skerry.runtime.split import Split
from support.lane_pool import Client, LanePool


class Later:
    """What is to be done in a later turn of the loop."""

    def __init__(self):
        self._calls = []

    def __call__(self, call, *about):
        self._calls.append((call, about))

    def run(self):
        while self._calls:
            call, about = self._calls.pop(0)
            call(*about)


def mirrored(*, workers=1, **options):
    later = Later()
    stable, shadow = LanePool(workers=1), LanePool(workers=workers)
    split = Split(stable)
    split.mirror = Mirror(shadow, soon=later, **options)
    return split, stable, shadow, later


def send(split, count=1, **about):
    clients = [Client(**about) for _ in range(count)]
    for client in clients:
        split.take(client.exchange)
    return clients


@pytest.mark.parametrize("shadow_first", [True, False])
def test_both_answers_are_compared_once_they_are_there(shadow_first):
    split, stable, shadow, later = mirrored()
    clients = send(split, 5)
    for pool in (shadow, stable) if shadow_first else (stable, shadow):
        later.run()
        assert split.mirror.report.comparisons == 0
        pool.serve_all(b"1" if pool is stable else b"1.000001")
    later.run()

    assert [client.answers[0][-1:] for client in clients] == [b"1"] * 5
    report = split.mirror.report.describe()
    assert (report["sent"], report["agrees"], report["differs"]) == (5, 5, 0)
    assert split.mirror.open == 0


@given(st.integers(0, 10_000), st.integers(1, 200))
def test_a_sample_is_exact(parts, count):
    split, _, shadow, _ = mirrored(workers=0, sample_ratio=parts / 10_000, most_open=1000)
    send(split, count)

    assert abs(shadow.dispatcher.queued - parts / 10_000 * count) < 1


def test_beyond_the_bound_requests_are_not_copied_and_are_counted():
    split, stable, _, _ = mirrored(workers=0, most_open=3)
    clients = send(split, 10)
    stable.serve_all()

    assert [client.status for client in clients] == [200] * 10
    report = split.mirror.report.describe()
    assert (report["sent"], report["dropped"], split.mirror.open) == (3, 7, 3)


def test_a_shadow_that_refuses_dies_or_fails_is_its_own_matter():
    split, stable, shadow, later = mirrored()
    first = send(split, 3)
    shadow.close(StartError("it cannot start"))
    second = send(split, 2)
    [slot] = shadow.dispatcher.slots
    shadow.dispatcher.worker_lost(slot)
    stable.serve_all()
    later.run()

    assert [client.status for client in first + second] == [200] * 5
    report = split.mirror.report.describe()
    assert (report["failed"], report["dropped"], report["agrees"]) == (3, 2, 0)
    assert split.mirror.open == 0


def test_a_fault_in_mirroring_does_not_reach_the_caller(caplog):
    split, stable, shadow, _ = mirrored()
    shadow.wake = lambda: 1 / 0
    [client] = send(split)
    stable.serve_all()

    assert client.status == 200
    assert "was not mirrored" in caplog.text
    assert client.exchange.watcher is None


def test_a_caller_whose_request_is_not_taken_has_no_copy():
    split, stable, shadow, _ = mirrored()
    stable.close(StartError("it cannot start"))
    with pytest.raises(StartError):
        send(split)

    assert shadow.dispatcher.in_system == 0
    stable.dispatcher.accept()
    stable.dispatcher.spec = LanePool(queue=0).spec
    stable.dispatcher.slots.clear()
    send(split)
    with pytest.raises(QueueFullError):
        send(split)
    assert split.mirror.report.sent == 1


def test_a_copy_has_the_lowest_urgency_no_deadline_and_no_trace():
    split, _, shadow, _ = mirrored(workers=0)
    client = Client()
    client.exchange.meta = {"traceparent": "00-1", "accept": "application/msgpack"}
    client.exchange.timeout_s, client.exchange.urgency = 1.0, 0
    client.exchange.group, client.exchange.weight = "g", 2.0
    split.take(client.exchange)

    [copy] = shadow.dispatcher.waiting
    assert (copy.urgency, copy.timeout_s, copy.meta) == (LOWEST_URGENCY, None, {"accept": "application/msgpack"})
    assert (copy.body, copy.group, copy.weight) == (b"1", "g", 2.0)
    assert client.exchange.meta["traceparent"] == "00-1"


def test_a_stream_is_read_to_its_end_and_not_compared():
    split, stable, shadow, later = mirrored()
    [client] = send(split)
    for pool in (stable, shadow):
        pool.say(Kind.STREAM, b"", ending=False, content_type="application/x-ndjson")
        pool.say(Kind.PIECE, b"1\n", ending=False)
        pool.say(Kind.END, b"")
    later.run()

    assert b"".join(client.answers).endswith(b"0\r\n\r\n")
    assert [size for _, size in shadow.credited] == [2]
    assert split.mirror.report.describe()["uncompared"] == 1


def test_a_caller_that_leaves_takes_its_comparison_along():
    split, stable, shadow, later = mirrored()
    [client] = send(split)
    client.exchange.leave()
    shadow.serve_all()
    later.run()

    assert client.answers == []
    assert split.mirror.report.comparisons == 0
    assert (split.mirror.open, stable.dispatcher.in_system) == (0, 0)


def test_an_answer_of_a_lost_worker_is_not_compared():
    split, stable, shadow, later = mirrored()
    [client] = send(split)
    stable.dispatcher.pump()
    [slot] = stable.dispatcher.slots
    slot.port.begun = next(iter(slot.outstanding))
    stable.dispatcher.worker_lost(slot)
    shadow.serve_all()
    later.run()

    assert client.status == WorkerLostError.http_status
    assert split.mirror.report.describe()["uncompared"] == 1
