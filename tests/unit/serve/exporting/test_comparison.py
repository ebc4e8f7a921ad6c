import numpy as np
import pytest

from skerry.errors import ModelRejectedError
from skerry.serve.exporting.comparison import TOLERANCE, compare, require_equal


@pytest.mark.parametrize(
    ("expected", "actual", "is_small"),
    [
        ([0.5], [0.5 + 0.9e-5], True),
        ([0.5], [0.5 + 1.1e-5], False),
        ([1e6], [1e6 + 9], True),  # relative above 1
        ([1e6], [1e6 + 11], False),
        ([-1e6], [1e6], False),
        ([np.nan], [np.nan], True),
        ([np.nan], [0.0], False),
        ([0.0], [np.nan], False),
        ([np.inf], [np.inf], True),
        ([np.inf], [-np.inf], False),
        ([3], [3], True),
        ([10**9], [10**9 + 1], False),  # labels are equal or not
        (["a"], ["a"], True),
        (["a"], ["b"], False),
        ([[1.0], [2.0]], [1.0, 2.0], True),  # a column of one may stand for none
        ([[1.0, 2.0]], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0], False),
    ],
)
def test_numbers_are_equal_to_1e_5_and_labels_exactly(expected, actual, is_small):
    assert compare("y", np.array(expected), np.array(actual)).is_small is is_small


def test_the_worst_difference_is_shown_with_its_place():
    expected = np.zeros((4, 3))
    actual = expected.copy()
    actual[1, 0], actual[2, 1] = 0.25, 0.5
    with pytest.raises(ModelRejectedError) as caught:
        require_equal("Model", [compare("p", expected, actual), compare("q", expected, expected)])
    assert "output 'p', row 2, element [1] is 0.5 and should be 0.0" in caught.value.message
    assert "2 of 4 rows differ" in caught.value.message


def test_the_largest_of_the_small_differences_is_returned():
    differences = [compare("p", np.zeros(2), np.array([0.0, TOLERANCE / 2])), compare("q", np.ones(1), np.ones(1))]
    assert require_equal("Model", differences) == TOLERANCE / 2
