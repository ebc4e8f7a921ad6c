import math

from hypothesis import given, settings
from hypothesis import strategies as st

from skerry.testbed.load.histogram import Histogram, bounds_of, bucket_of

TIMES_NS = st.integers(0, 10**14)


def filled(values_ns):
    histogram = Histogram()
    for value_ns in values_ns:
        histogram.add(value_ns)
    return histogram


@settings(deadline=None)
@given(TIMES_NS)
def test_a_time_lies_in_its_bucket_which_is_a_thousandth_of_it_wide(value_ns):
    low_ns, high_ns = bounds_of(bucket_of(value_ns))
    assert low_ns <= value_ns < high_ns
    assert high_ns - low_ns <= max(1, value_ns / 1024)


@settings(deadline=None)
@given(TIMES_NS)
def test_buckets_follow_each_other_without_a_gap(value_ns):
    _, high_ns = bounds_of(bucket_of(value_ns))
    assert bucket_of(high_ns) == bucket_of(value_ns) + 1


@settings(deadline=None)
@given(st.lists(TIMES_NS, min_size=1), st.lists(st.floats(0, 1), min_size=1))
def test_percentiles_have_three_significant_digits(values_ns, ratios):
    ratios = sorted(ratios)
    ordered = sorted(values_ns)
    for ratio, found_s in zip(ratios, filled(values_ns).percentiles_s(ratios), strict=True):
        rank = min(len(ordered), max(1, math.ceil(round(ratio * len(ordered), 6))))
        exact_ns = ordered[rank - 1]
        assert abs(found_s * 1e9 - exact_ns) <= exact_ns / 2000 + 1e-3


@settings(deadline=None)
@given(st.lists(TIMES_NS, min_size=1))
def test_count_mean_and_both_ends_are_exact(values_ns):
    histogram = filled(values_ns)
    assert histogram.count == len(values_ns)
    assert math.isclose(histogram.mean_s, sum(values_ns) / len(values_ns) / 1e9, rel_tol=1e-12, abs_tol=1e-15)
    assert histogram.min_s == min(values_ns) / 1e9
    assert histogram.max_s == histogram.percentile_s(1.0) == max(values_ns) / 1e9


@settings(deadline=None)
@given(st.lists(TIMES_NS), st.lists(TIMES_NS))
def test_merged_histograms_are_the_histogram_of_all(first, second):
    merged, both = filled(first), filled(first + second)
    merged.merge(filled(second))
    assert list(merged.buckets()) == list(both.buckets())
    assert merged.count == both.count
    if both.count:
        assert (merged.min_s, merged.max_s, merged.mean_s) == (both.min_s, both.max_s, both.mean_s)


@settings(deadline=None)
@given(st.lists(TIMES_NS))
def test_coarse_bars_hold_every_time_once(values_ns):
    edges_ns = [1_000, 10_000, 100_000, 10**9]
    assert sum(filled(values_ns).coarse(edges_ns)) == len(values_ns)


def test_a_time_below_zero_counts_as_zero():
    assert filled([-5]).max_s == 0


def test_an_empty_histogram_has_no_figures():
    histogram = Histogram()
    assert math.isnan(histogram.percentile_s(0.5))
    assert math.isnan(histogram.mean_s)
    assert math.isnan(histogram.min_s)
