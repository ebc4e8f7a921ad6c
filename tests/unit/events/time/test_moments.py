"""Windows, watermarks and partners, as pure decisions."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from skerry.events.time.moments import (
    end_of,
    moment_us,
    partners,
    raise_mark,
    split_ends,
    still_waiting,
    time_of,
)

MOMENTS = st.integers(-(10**15), 10**16)
SPANS = st.integers(0, 10**12)


@given(MOMENTS, st.integers(1, 10**12))
def test_a_moment_is_in_one_window_which_begins_at_a_multiple_of_its_size(at_us, size_us):
    end = end_of(at_us, size_us)
    assert end % size_us == 0
    assert end - size_us <= at_us < end


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_a_moment_is_a_time(time):
    assert time_of(moment_us(time)) == time


@given(st.lists(st.tuples(MOMENTS, MOMENTS)), SPANS)
def test_a_watermark_never_falls_and_is_behind_every_clock(seen, lateness_us):
    mark = -(2**60)
    for at_us, now_us in seen:
        raised = raise_mark(mark, at_us, lateness_us=lateness_us, now_us=now_us)
        assert raised >= mark
        assert raised <= max(mark, at_us - lateness_us)
        assert raised <= max(mark, now_us - lateness_us)
        mark = raised


@given(st.lists(MOMENTS), MOMENTS)
def test_a_window_is_over_or_open(ends, mark_us):
    over, opened = split_ends(ends, mark_us)
    assert over + opened == sorted(ends)
    assert all(end <= mark_us for end in over)
    assert all(end > mark_us for end in opened)


@given(st.lists(st.tuples(MOMENTS, st.text(max_size=2))), MOMENTS, MOMENTS, SPANS)
def test_what_is_forgotten_is_no_partner_of_anything_that_is_expected(waiting, mark_us, later_us, within_us):
    kept = still_waiting(waiting, mark_us, within_us)
    expected = max(mark_us, later_us)
    assert partners(expected, kept, within_us) == partners(expected, waiting, within_us)
