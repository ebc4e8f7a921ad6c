import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.runtime.call import Call
from skerry.runtime.frames import Frame, Kind
from skerry.runtime.server_timing import server_timing, waited_for_start_s

seconds = st.floats(0, 50)


def timed(enqueued_s, started_s, handler_us, starts=(), now_s=None):
    call = Call(b"", 0, {}, lambda _: None)
    call.enqueued_s, call.started_s = enqueued_s, started_s
    answer = Frame(int(Kind.RESULT), 1, 0, {}, b"", handler_us)
    header = server_timing(call, answer, starts, started_s + handler_us / 1e6 if now_s is None else now_s)
    return {name: float(value) for name, value in re.findall(r"(\w+);dur=([\d.]+)", header)}


def test_a_warm_call_waited_for_nothing():
    assert timed(10.0, 10.001, 250_000) == {"total": 251, "queue": 1, "start": 0, "handler": 250}


def test_a_call_from_zero_waited_for_the_start_and_a_little_more():
    found = timed(10.0, 11.0, 500_000, starts=[(1.0, 2.0), (10.1, 10.9)])
    assert found == {"total": 1500, "queue": pytest.approx(200), "start": pytest.approx(800), "handler": 500}


def test_only_what_was_waited_for_counts_of_a_start_that_had_begun_before():
    assert waited_for_start_s(10.0, 12.0, [(8.0, 11.5)]) == 1.5


def test_a_start_that_ended_before_or_after_the_wait_does_not_count():
    assert waited_for_start_s(10.0, 12.0, [(8.0, 9.5), (11.0, 12.5)]) == 0


@given(seconds, seconds, st.lists(st.tuples(seconds, seconds), max_size=5))
def test_queue_and_start_are_the_wait(enqueued_s, wait_s, starts):
    found = timed(enqueued_s, enqueued_s + wait_s, 1000, [(min(pair), max(pair)) for pair in starts])
    assert found["queue"] >= 0
    assert found["start"] >= 0
    assert found["queue"] + found["start"] == pytest.approx(wait_s * 1000, abs=0.01)
