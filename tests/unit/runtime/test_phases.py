import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.runtime.phases import Phases

NAMES = ("fork", "confine", "import", "load")


def started(asked_at_s, *marks):
    phases = Phases(asked_at_s)
    for phase, now_s in marks:
        phases.mark(phase, now_s=now_s)
    return phases


def test_each_phase_lasts_from_the_mark_before_it():
    phases = started(10.0, ("fork", 10.001), ("confine", 10.003), ("import", 10.103), ("load", 10.603))
    assert phases.since(10.0) == {"fork": 1.0, "confine": 2.0, "import": 100.0, "load": 500.0}


def test_a_worker_that_was_asked_for_during_the_load_waited_for_the_rest_of_it():
    phases = started(10.0, ("fork", 10.1), ("load", 10.6), ("fork", 10.602), ("load", 10.603))
    assert phases.since(10.5) == {"fork": 2.0, "load": 101.0}


def test_a_worker_that_was_asked_for_later_waited_for_its_fork_alone():
    phases = started(10.0, ("fork", 10.1), ("load", 10.6), ("fork", 99.002), ("load", 99.002))
    assert phases.since(99.0) == {"fork": 2.0, "load": 0.0}


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 100)), min_size=1, max_size=9),
    st.floats(0, 1),
)
def test_what_was_waited_for_adds_up_to_the_whole_wait(steps, asked_after):
    now_s = 1000.0
    phases = Phases(now_s)
    for phase, took_s in steps:
        now_s += took_s
        phases.mark(phase, now_s=now_s)
    asked_at_s = 1000.0 + asked_after * (now_s - 1000.0)
    assert sum(phases.since(asked_at_s).values()) == pytest.approx((now_s - asked_at_s) * 1000, abs=0.01)
