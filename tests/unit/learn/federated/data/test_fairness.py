import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DataError
from skerry.learn.federated.data.fairness import measure_fairness


def test_a_report_by_hand():
    report = measure_fairness({"c": 0.7, "a": 0.9, "b": 0.9})
    assert report.clients == (("c", 0.7), ("a", 0.9), ("b", 0.9))
    assert (report.lowest, report.highest) == (0.7, 0.9)
    assert report.mean == pytest.approx(2.5 / 3)
    assert report.standard_deviation == pytest.approx(math.sqrt(0.08 / 9))
    assert report.jain_index == pytest.approx(2.5**2 / (3 * 2.11))
    assert report.worst_tenth_mean == 0.7


def test_the_worst_tenth_are_the_lowest_or_for_losses_the_highest():
    values = {f"c{index:02}": float(index) for index in range(20)}
    assert measure_fairness(values).worst_tenth_mean == 0.5
    losses = measure_fairness(values, higher_is_better=False)
    assert losses.worst_tenth_mean == 18.5
    assert losses.clients[0] == ("c19", 19.0)


def test_jains_index_is_one_where_all_are_equal_and_one_over_n_where_one_has_all():
    assert measure_fairness({"a": 0.0, "b": 0.0}).jain_index == 1
    assert measure_fairness({"a": 1e-200, "b": 1e-200}).jain_index == 1
    assert measure_fairness({"a": 0.0, "b": 0.0, "c": 0.0, "d": 5.0}).jain_index == pytest.approx(0.25)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30))
def test_what_a_report_says_lies_within_its_bounds(drawn):
    values = {f"c{index}": value for index, value in enumerate(drawn)}
    report = measure_fairness(values)
    assert 1 / len(values) - 1e-9 <= report.jain_index <= 1 + 1e-9
    assert report.lowest - 1e-9 <= report.worst_tenth_mean <= report.mean + 1e-9
    assert report.mean <= report.highest + 1e-9
    assert dict(report.clients) == values


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="at least one client"):
        measure_fairness({})
    for value in (-0.1, math.nan, math.inf):
        with pytest.raises(DataError, match="client 'a' has"):
            measure_fairness({"a": value})
