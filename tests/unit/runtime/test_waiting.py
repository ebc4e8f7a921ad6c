from hypothesis import given
from hypothesis import strategies as st

from skerry.runtime.call import Call
from skerry.runtime.frames import Codec
from skerry.runtime.waiting import LATE_TURN, LOOK_AHEAD, WaitingLine


def call(arrival, *, urgency=3, group=None, weight=1.0, enqueued_s=0.0, done=False):
    made = Call(b"", Codec.JSON, {}, lambda answer: None)
    made.arrival, made.urgency, made.group, made.weight = arrival, urgency, group, weight
    made.enqueued_s, made.done = enqueued_s, done
    return made


def line_of(*calls):
    line = WaitingLine()
    for made in calls:
        line.push(made)
    return line


CALLS = st.lists(
    st.tuples(
        st.sampled_from([0, 3, 7]), st.sampled_from([None, "x", "y"]), st.sampled_from([0.5, 1.0, 4.0]), st.booleans()
    ),
    max_size=30,
).map(lambda rows: [call(n, urgency=u, group=g, weight=w, done=d) for n, (u, g, w, d) in enumerate(rows, 1)])


def by_rank(calls):
    return sorted((c for c in calls if not c.done), key=lambda c: (c.urgency, c.arrival))


@given(CALLS, st.integers(1, 5))
def test_calls_leave_by_urgency_and_then_by_arrival_and_those_that_are_done_never(calls, most):
    line, left = line_of(*calls), []
    while taken := line.pop(most):
        assert len(taken) <= most
        left += taken
    assert left == by_rank(calls)
    assert len(line) == 0


@given(CALLS, st.integers(1, 5), st.none() | st.just(5.0))
def test_a_group_is_the_first_call_and_the_first_of_its_kind_that_fit(calls, most, max_weight):
    line, waiting = line_of(*calls), by_rank(calls)
    assert line.head() is (waiting[0] if waiting else None)
    while group := line.pop_group(most, max_weight=max_weight):
        alike = [c for c in waiting if (c.urgency, c.group) == (waiting[0].urgency, waiting[0].group)]
        assert group == alike[: len(group)]
        assert len(group) <= most
        weights = [c.weight for c in alike[: len(group) + 1]]
        assert (
            len(group) == 1
            or max_weight is None
            or sum(weights[:-1] if len(weights) > len(group) else weights) <= max_weight
        )
        # No smaller than it need be.
        assert len(group) in (most, len(alike)) or sum(weights) > max_weight
        waiting = [c for c in waiting if c not in group]
        assert [c for c in line if not c.done] == waiting
    assert not waiting


@given(CALLS, st.lists(st.integers(0, 29), max_size=12), st.randoms(use_true_random=False))
def test_calls_that_come_back_stand_where_they_stood(calls, picks, random):
    line = line_of(*calls)
    waiting = by_rank(calls)
    taken = line.pop(len(picks))
    random.shuffle(taken)
    for made in taken:  # one by one, and in any order
        line.put_back([made])
    assert [c for c in line if not c.done] == waiting
    taken = line.pop(len(picks))
    random.shuffle(taken)
    line.put_back(taken)
    assert [c for c in line if not c.done] == waiting


def test_only_so_far_is_looked_for_calls_of_a_group():
    others = [call(n, group="y") for n in range(2, LOOK_AHEAD + 2)]
    line = line_of(call(1, group="x"), *others, call(10_000, group="x"))
    assert [c.arrival for c in line.pop_group(8, max_weight=None)] == [1]
    assert [c.arrival for c in line] == [c.arrival for c in others] + [10_000]


def test_calls_that_came_before_a_moment_are_taken_whatever_their_urgency():
    line = line_of(
        call(1, urgency=7, enqueued_s=1.0), call(2, urgency=0, enqueued_s=2.0), call(3, urgency=7, enqueued_s=3.0)
    )
    assert [c.arrival for c in line.pop_older(2.5)] == [2, 1]
    assert [c.arrival for c in line] == [3]


def test_calls_that_are_done_can_be_forgotten():
    line = line_of(call(1, done=True), call(2), call(3, urgency=0, done=True))
    line.forget_done()
    assert [c.arrival for c in line] == [2]
    assert [c.arrival for c in line.take_all()] == [2]
    assert len(line) == 0


# Late calls


def arrivals(calls):
    return [made.arrival for made in calls]


@given(CALLS, st.integers(0, 30), st.integers(1, 5))
def test_late_calls_leave_after_the_others_of_their_urgency(calls, late_through, most):
    for made in calls:
        made.enqueued_s = float(made.arrival)
    line, left = line_of(*calls), []
    line.set_aside(late_through + 0.5)
    while len(left) < LATE_TURN and (taken := line.pop(most)):
        left += taken
    by_lateness = sorted(by_rank(calls), key=lambda c: (c.urgency, c.arrival <= late_through, c.arrival))
    assert left == by_lateness[: len(left)]
    assert len(left) >= min(LATE_TURN, len(by_lateness))


@given(CALLS, st.integers(0, 30), st.lists(st.integers(0, 30), max_size=9), st.randoms(use_true_random=False))
def test_late_calls_that_come_back_stand_where_they_stood(calls, late_through, picks, random):
    for made in calls:
        made.enqueued_s = float(made.arrival)
    line = line_of(*calls)
    line.set_aside(late_through + 0.5)
    waiting = list(by_rank(line))
    order = [made for made in line if not made.done]
    taken = line.pop(len(picks))
    random.shuffle(taken)
    for made in taken:
        line.put_back([made])
    line.set_aside(late_through + 0.5)
    assert [made for made in line if not made.done] == order
    assert by_rank(line) == waiting
    assert arrivals(line.pop_older(1e9)) == arrivals(sorted(order, key=lambda c: (c.urgency, c.arrival)))


def test_a_late_call_has_its_turn_when_enough_others_have_passed_it_by():
    line = line_of(call(1, enqueued_s=1.0), call(2, enqueued_s=2.0), *[call(n, enqueued_s=3.0) for n in range(3, 60)])
    line.set_aside(2.5)
    assert line.late == 2
    assert arrivals(line.pop_group(LATE_TURN, max_weight=None)) == list(range(3, 3 + LATE_TURN))
    group = line.pop_group(4, max_weight=None)
    assert arrivals(group) == [1, 19, 20, 21]  # the rest of its group are in time: they are still the most urgent
    assert arrivals(line.pop_group(100, max_weight=None)) == [*range(22, 60), 2]
    assert line.late == 0


def test_where_nobody_else_waits_late_calls_are_served_in_the_order_of_their_arrival():
    line = line_of(*[call(n, enqueued_s=float(n)) for n in range(1, 9)])
    line.set_aside(100.0)
    assert line.head().arrival == 1
    assert arrivals(line.pop_group(3, max_weight=None) + line.pop(10)) == list(range(1, 9))


def test_late_calls_of_an_urgency_come_before_what_is_less_urgent():
    line = line_of(call(1, urgency=1, enqueued_s=1.0), call(2, urgency=1, enqueued_s=9.0), call(3, enqueued_s=9.0))
    line.set_aside(5.0)
    assert arrivals(line.pop(3)) == [2, 1, 3]


def test_only_calls_in_time_count_as_those_that_have_passed_a_late_one_by():
    line = line_of(*[call(n, enqueued_s=1.0) for n in range(1, 41)])
    line.set_aside(2.0)
    assert arrivals(line.pop_group(LATE_TURN + 1, max_weight=None)) == list(range(1, LATE_TURN + 2))
    for n in range(101, 105):
        line.push(call(n, enqueued_s=3.0))
    assert arrivals(line.pop_group(4, max_weight=None)) == [101, 102, 103, 104]


def test_a_late_call_of_another_group_has_its_turn_as_well():
    line = line_of(call(1, group="x", enqueued_s=1.0), *[call(n, enqueued_s=1.0) for n in range(2, 9)])
    line.set_aside(2.0)
    for n in range(100, 100 + 2 * LATE_TURN):
        line.push(call(n, enqueued_s=3.0))
    line.pop_group(LATE_TURN + 2, max_weight=None)
    assert arrivals(line.pop_group(4, max_weight=None)) == [1]


def test_calls_that_are_done_are_not_late():
    line = line_of(*[call(n, enqueued_s=1.0) for n in range(1, 4)])
    line.set_aside(2.0)
    for made in list(line)[:2]:
        made.done = True
    assert (line.late, line.late_total) == (1, 3)


def test_calls_that_come_back_among_many_late_ones_do_not_look_at_all_of_them_each():
    compared = 0

    class Number(int):
        def __lt__(self, other):
            nonlocal compared
            compared += 1
            return int(self) < int(other)

    line = line_of(*[call(Number(n), enqueued_s=1.0) for n in range(1, 4001)])
    line.set_aside(2.0)
    for n in range(4001, 5001):
        line.push(call(Number(n), enqueued_s=3.0))
    taken = line.pop_group(500, max_weight=None)
    assert arrivals(taken) == list(range(4001, 4501))
    line.set_aside(4.0)
    compared = 0
    line.put_back(taken)
    assert arrivals(line) == list(range(1, 5001))
    assert compared < 50_000  # one by one it was a comparison with each that waits, for each that comes back
