import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier

from skerry.errors import DataError
from skerry.learn.search import FAMILIES, list_candidates
from skerry.learn.search.families import describe_family, hidden_nodes, translate
from skerry.learn.search.pipeline import build


def test_the_grids_have_the_public_functions_sizes():
    sizes = {name: len(list_candidates(family.grid(315, 2))) for name, family in FAMILIES.items()}
    assert sizes == {"pac": 24, "log": 18, "mnb": 12, "mlpc": 12, "svc": 8, "dt": 18, "kn": 18, "rf": 18}


@pytest.mark.parametrize(("documents", "nodes"), [(0, 3), (315, 3), (1000, 7), (3150, 15), (6335, 22)])
def test_hidden_nodes_follow_the_rule_of_thumb(documents, nodes):
    assert hidden_nodes(documents, 2) == nodes


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("strength", [0.001, 0.1, 10])
@pytest.mark.parametrize("classes", [2, 3])
def test_pac_has_the_coefficients_of_the_passive_aggressive_classifier(loss, strength, classes):
    linear_model = pytest.importorskip("sklearn.linear_model")
    if not hasattr(linear_model, "PassiveAggressiveClassifier"):
        pytest.skip("this scikit-learn has no PassiveAggressiveClassifier any more")
    x, y = make_classification(120, 12, n_informative=6, n_classes=classes, random_state=0)
    parameters = {"loss": loss, "C": strength, "fit_intercept": False}
    ours = build(describe_family("pac", text=False, random_state=3), parameters).fit(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = linear_model.PassiveAggressiveClassifier(**parameters, random_state=3, max_iter=100_000).fit(x, y)
    assert isinstance(ours, SGDClassifier)
    assert np.array_equal(ours.coef_, theirs.coef_)
    assert np.array_equal(ours.intercept_, theirs.intercept_)


def test_an_unknown_family_is_refused_with_the_list_of_all():
    with pytest.raises(DataError, match="pac, log, mnb, mlpc, svc, dt, kn, rf"):
        describe_family("xgb", text=True)


def test_an_unknown_loss_is_refused():
    with pytest.raises(DataError, match="hinge and squared_hinge"):
        translate("pac", {"loss": "log"}, pipeline=False)


def test_another_step_is_reached_by_its_name():
    assert translate("mnb", {"alpha": 1, "tfidf__min_df": 2}, pipeline=True) == {"model__alpha": 1, "tfidf__min_df": 2}
