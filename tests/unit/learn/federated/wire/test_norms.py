import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skerry.errors import DataError, SpecError
from skerry.learn.federated.wire.norms import clip, norm_of

VECTORS = st.sampled_from(["float32", "float64"]).flatmap(
    lambda dtype: arrays(dtype, st.integers(0, 50), elements=st.floats(-(2**100), 2**100, width=32))
)


@settings(deadline=None)
@given(VECTORS, st.floats(1e-6, 1e30))
def test_a_clipped_update_is_within_the_norm_and_points_the_same_way(delta, norm):
    clipped = clip(delta, norm)
    assert clipped.dtype == delta.dtype
    assert norm_of(clipped) <= norm
    if norm_of(delta) <= norm:
        assert clipped is delta
    else:
        assert norm_of(clipped) >= norm * 0.999
        share = norm / norm_of(delta)
        np.testing.assert_allclose(clipped.astype(float), delta.astype(float) * share, rtol=1e-5, atol=1e-37)


def test_the_norm_is_summed_in_float64():
    vector = np.full(300_001, 1e-4, np.float32)
    assert norm_of(vector) == pytest.approx(math.sqrt(300_001) * float(np.float32(1e-4)), rel=1e-12)


@pytest.mark.parametrize("number", [1e200, 1e-200, 5e-324])
def test_the_norm_neither_overflows_nor_vanishes(number):
    assert norm_of(np.full(4, number)) == pytest.approx(2 * number)


def test_nothing_has_no_length():
    assert norm_of(np.zeros(3, np.float32)) == norm_of(np.zeros(0, np.float32)) == 0
    assert clip(np.zeros(3, np.float32), 1.0).tolist() == [0, 0, 0]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_an_update_that_is_not_finite_is_not_clipped(number):
    assert not math.isfinite(norm_of(np.array([1, number], np.float32)))
    with pytest.raises(DataError, match="not finite"):
        clip(np.array([1, number], np.float32), 1.0)


def test_a_number_that_is_none_is_seen_wherever_it_stands():
    for place in (0, 65_535, 65_536, 199_999):
        vector = np.zeros(200_000, np.float32)
        vector[place] = math.nan
        assert math.isnan(norm_of(vector))


@pytest.mark.parametrize("norm", [0.0, -1.0, math.nan, math.inf])
def test_a_norm_that_is_none_is_refused(norm):
    with pytest.raises(SpecError, match="above 0"):
        clip(np.ones(2, np.float32), norm)
