from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.testbed.experiments.estimates import bootstrap, paired_difference, quantile, ratio_of_medians, spread

numbers = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
several = st.lists(numbers, min_size=1, max_size=30)


@given(several, st.floats(min_value=0, max_value=1))
def test_a_quantile_is_that_of_numpy(values, share):
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-6)


@given(several)
def test_a_spread_is_in_order_and_holds_the_extremes(values):
    found = spread(values)
    assert min(values) == found.low <= found.p25 <= found.median <= found.p75 <= found.high == max(values)
    assert found.count == len(values)


@settings(max_examples=40, deadline=None)
@given(several, st.integers(0, 1000))
def test_an_interval_holds_its_estimate_lies_within_the_values_and_depends_on_the_seed_alone(values, seed):
    found = bootstrap(values, resamples=200, seed=seed)
    assert found.estimate == median(values)
    assert min(values) <= found.low <= found.estimate <= found.high <= max(values)
    assert found == bootstrap(list(values), resamples=200, seed=seed)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=20), st.integers(-500, 500))
def test_moving_all_values_moves_the_interval(values, by):
    before, after = bootstrap(values, resamples=200), bootstrap([value + by for value in values], resamples=200)
    assert after.estimate == before.estimate + by
    assert (after.low, after.high) == (pytest.approx(before.low + by), pytest.approx(before.high + by))


def test_more_values_make_a_narrower_interval():
    draw = np.random.default_rng(3)
    few, many = draw.normal(size=12).tolist(), draw.normal(size=600).tolist()
    wide, narrow = bootstrap(few), bootstrap(many)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 2


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    draw = np.random.default_rng(5)
    held = 0
    for number in range(200):
        found = bootstrap(draw.normal(loc=1, size=21).tolist(), resamples=300, seed=number)
        held += found.low <= 1 <= found.high
    assert 0.88 <= held / 200 <= 1


def test_one_value_is_its_own_interval():
    found = bootstrap([3.5])
    assert (found.low, found.estimate, found.high) == (3.5, 3.5, 3.5)


@given(
    st.dictionaries(st.integers(0, 20), numbers, max_size=12), st.dictionaries(st.integers(0, 20), numbers, max_size=12)
)
@settings(max_examples=40, deadline=None)
def test_differences_are_taken_over_common_pairs_only(first, second):
    found = paired_difference(first, second)
    common = first.keys() & second.keys()
    if not common:
        assert found is None
    else:
        assert found.estimate == median(first[pair] - second[pair] for pair in common)


def test_pairs_that_move_together_make_a_sharper_difference_than_the_groups_would():
    base = {pair: float(pair * 10) for pair in range(20)}
    slower = {pair: value + 1 for pair, value in base.items()}
    found = paired_difference(slower, base)
    assert (found.low, found.estimate, found.high) == (1, 1, 1)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.floats(0.1, 100), min_size=1), st.floats(0.5, 4))
def test_a_group_that_is_a_multiple_of_the_other_has_that_ratio(first, factor):
    found = ratio_of_medians({pair: value * factor for pair, value in first.items()}, first, resamples=100)
    assert found.estimate == pytest.approx(factor)
    assert found.low == pytest.approx(factor)
    assert found.high == pytest.approx(factor)


def test_a_ratio_without_pairs_draws_each_side_for_itself():
    first, second = {0: 1.0, 1: 3.0}, {7: 2.0, 8: 2.0, 9: 2.0}
    assert ratio_of_medians(first, second) is None
    found = ratio_of_medians(first, second, is_paired=False)
    assert (found.estimate, found.low, found.high) == (1.0, 0.5, 1.5)


def test_there_is_no_ratio_to_nothing():
    assert ratio_of_medians({0: 1.0}, {0: 0.0}) is None
