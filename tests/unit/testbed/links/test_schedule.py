import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.errors import SpecError
from skerry.testbed.links import Conditions, Schedule, read_trace

BASE = Conditions(delay_ms=5, loss_ratio=0.01)
ROWS = [{"at_s": 10, "delay_ms": 50}, {"at_s": 20, "rate_mbps": 2}]


def test_a_step_says_what_differs_from_the_base():
    schedule = Schedule.from_rows(BASE, ROWS)

    assert schedule.at(0) == BASE
    assert schedule.at(10).delay_ms == 50
    assert schedule.at(20) == BASE.changed(rate_mbps=2)
    assert schedule.at(1e6) == schedule.at(20)


def test_a_schedule_that_repeats_begins_again():
    schedule = Schedule.from_rows(BASE, ROWS, 30)

    assert schedule.at(31) == BASE
    assert schedule.at(45).delay_ms == 50
    assert [schedule.next_change_s(at_s) for at_s in (0, 10, 20, 30, 45)] == [10, 20, 30, 40, 50]


def test_a_schedule_that_does_not_repeat_ends():
    schedule = Schedule.from_rows(BASE, ROWS)

    assert [schedule.next_change_s(at_s) for at_s in (0, 10, 20)] == [10, 20, None]
    assert Schedule.from_rows(BASE, []).next_change_s(0) is None


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=6, unique=True).map(sorted),
    st.none() | st.floats(101, 200),
    st.floats(0, 1000),
)
def test_conditions_only_change_when_the_schedule_says_so(moments, repeat_s, at_s):
    rows = [{"at_s": moment, "delay_ms": index + 1.0} for index, moment in enumerate(moments)]
    schedule = Schedule.from_rows(Conditions(), rows, repeat_s)
    change_s = schedule.next_change_s(at_s)

    assert change_s is None or change_s > at_s
    until_s = at_s + 50 if change_s is None else change_s
    before_s = at_s + (until_s - at_s) * 0.99
    assert schedule.at(at_s) == schedule.at(before_s) or until_s - at_s < 1e-6


def test_loss_in_a_step_takes_the_place_of_bursts():
    base = Conditions.from_dict({"loss_burst": {"enter_ratio": 0.1, "leave_ratio": 0.5}})
    schedule = Schedule.from_rows(base, [{"at_s": 1, "loss_ratio": 1.0}])

    assert schedule.at(1).loss == 1


@pytest.mark.parametrize(
    ("rows", "repeat_s", "said"),
    [
        ([{"delay_ms": 1}], None, "at_s"),
        ([{"at_s": -1}], None, "at least 0"),
        ([{"at_s": 2}, {"at_s": 2}], None, "does not come after"),
        ([{"at_s": 2, "dely_ms": 1}], None, "at 2 s: .*dely_ms"),
        ([{"at_s": 2}], 2, "after the last step"),
    ],
)
def test_what_is_wrong_is_named(rows, repeat_s, said):
    with pytest.raises(SpecError, match=said):
        Schedule.from_rows(BASE, rows, repeat_s)


def test_a_trace_is_a_schedule(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("at_s,delay_ms,rate_mbps\n0,20,10\n2.5,35,\n")

    assert read_trace(path) == [{"at_s": 0, "delay_ms": 20, "rate_mbps": 10}, {"at_s": 2.5, "delay_ms": 35}]


@pytest.mark.parametrize("content", ["", "time,delay_ms\n0,1\n", "at_s,delay_ms\n0,quick\n"])
def test_a_trace_that_is_none_is_named(tmp_path, content):
    path = tmp_path / "train.csv"
    path.write_text(content)

    with pytest.raises(SpecError, match=r"train\.csv"):
        read_trace(path)
