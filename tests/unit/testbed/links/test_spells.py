import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.testbed.links.spells import AROUND_S, EVERY_S, LATE_S, Spells, slow_spans

SPANS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 20)).map(lambda it: (it[0], it[0] + it[1])))


def test_a_processor_is_slow_when_it_wakes_late_or_works_long():
    usual = [(float(number), 0.00001, 0.000005) for number in range(10)]

    assert slow_spans(usual) == []
    assert slow_spans([*usual, (10.0, 0.25, 0.000005)]) == [(10.0, pytest.approx(10.250005))]
    assert slow_spans([*usual, (10.0, LATE_S / 2, 0.00002)]) == [(10.0, 10.0 + EVERY_S)]
    assert slow_spans([]) == []


@given(SPANS, st.integers(0, 150), st.integers(0, 20))
def test_spells_and_as_much_time_after_them_are_what_their_spans_say(spans, begins, length):
    ends = begins + length
    merged = []
    for one, other in sorted(spans):
        if merged and one <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], other)
        else:
            merged.append([one, other])

    touched = any(one <= ends and other + (other - one) >= begins for one, other in merged)
    assert Spells(spans).touch(begins, ends) == touched


@given(SPANS)
def test_no_moment_counts_twice(spans):
    covered = {moment for begins, ends in spans for moment in range(begins, ends)}

    assert sum(Spells(spans).within(0, 120)) == len(covered)


def test_a_packet_meets_what_happens_at_the_ends_of_its_way():
    spells = Spells([(10.0, 10.01)])

    assert spells.meet(9.9995, 9.9999)
    assert spells.meet(9.0, 10.005)
    assert spells.meet(9.0, 10.019), "what was held up is dealt with after it"
    assert spells.meet(9.0, 10.02 + AROUND_S / 2)
    assert not spells.meet(9.99, 10.03), "nothing was late for it between its ends"
    assert not spells.meet(10.025, 10.03)
