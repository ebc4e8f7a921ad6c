import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression, SGDClassifier

from skerry.learn.search import shortcut


def rows(seed=0, classes=("b", "a")):
    random = np.random.default_rng(seed)
    dense = random.random((50, 30)) * (random.random((50, 30)) < 0.3)
    return csr_matrix(dense), np.array([classes[row % len(classes)] for row in range(50)])


@pytest.mark.parametrize(
    "options",
    [
        {"loss": "hinge", "penalty": None, "learning_rate": "pa1", "eta0": 0.1},
        {"loss": "hinge", "penalty": None, "learning_rate": "pa2", "eta0": 0.1, "fit_intercept": False},
        {"loss": "log_loss", "penalty": "l1"},
        {"loss": "modified_huber", "penalty": "elasticnet", "shuffle": False},
        {"early_stopping": True},
        {"average": 5},
        {"class_weight": "balanced"},
        {"warm_start": True},
    ],
    ids=str,
)
def test_a_linear_model_is_fitted_bit_by_bit_as_scikit_learn_does(options):
    x, y = rows()
    theirs = SGDClassifier(random_state=7, **options).fit(x, y)
    ours = shortcut.fit(SGDClassifier(random_state=7, **options), x, y)
    assert np.array_equal(ours.coef_, theirs.coef_)
    assert np.array_equal(ours.intercept_, theirs.intercept_)
    assert (ours.n_iter_, ours.t_) == (theirs.n_iter_, theirs.t_)
    assert np.array_equal(shortcut.predict(ours, x), theirs.predict(x))
    assert np.array_equal(ours.predict(x), theirs.predict(x))


def test_three_classes_and_dense_rows_take_the_long_way():
    x, y = rows(classes=("a", "b", "c"))
    for features in (x, x.toarray()):
        theirs = SGDClassifier(random_state=0).fit(features, y)
        ours = shortcut.fit(SGDClassifier(random_state=0), features, y)
        assert np.array_equal(shortcut.predict(ours, features), theirs.predict(features))


def test_predictions_of_other_linear_models_are_theirs():
    x, y = rows()
    model = LogisticRegression().fit(x, y)
    assert np.array_equal(shortcut.predict(model, x), model.predict(x))


def test_a_wrong_parameter_is_refused_every_time():
    x, y = rows()
    for _ in range(2):
        with pytest.raises(ValueError, match="eta0"):
            shortcut.fit(SGDClassifier(eta0=-1.0), x, y)
