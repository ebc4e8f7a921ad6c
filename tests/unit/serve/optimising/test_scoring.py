import numpy as np
import pytest

from skerry.errors import DataError
from skerry.serve.optimising.scoring import predict_labels, rate

SCORES = {"scores": np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)}


def test_labels_are_the_models_own_or_the_class_of_the_largest_score():
    assert predict_labels({"label": np.array([3, 4]), **SCORES}, None).tolist() == ["3", "4"]
    assert predict_labels(SCORES, ("cat", "dog")).tolist() == ["cat", "dog"]
    assert predict_labels(SCORES, None).tolist() == ["0", "1"]
    with pytest.raises(DataError, match="neither labels nor scores"):
        predict_labels({"y": np.zeros((2, 1))}, None)


def test_accuracy_is_against_the_targets_and_agreement_against_the_original():
    assert rate("accuracy", SCORES, SCORES, np.array(["cat", "cat"]), ("cat", "dog")) == 0.5
    assert rate("agreement", SCORES, SCORES, None, ("cat", "dog")) == 1.0


def test_numbers_are_rated_by_the_variance_that_is_explained():
    right = np.array([1.0, 2.0, 3.0])
    assert rate("r2", {"y": right[:, None]}, {}, right, None) == 1.0
    assert rate("r2", {"y": np.full((3, 1), 2.0)}, {}, right, None) == 0.0
    assert rate("r2", {"y": np.full(3, np.nan)}, {"y": right}, None, None) != 1.0
    with pytest.raises(DataError, match="shape"):
        rate("r2", {"y": np.zeros((3, 2))}, {}, right, None)
