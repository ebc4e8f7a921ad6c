"""The eight model families of paper 001's public function, with its grids.

Parameter names are those of the public function. One family differs from scikit-learn's names: ``pac``, whose class
scikit-learn 1.10 drops, is written as the `SGDClassifier` that computes the same coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skerry.errors import DataError
from skerry.learn.search.messages import Model, Step

_STRENGTHS = [0.0001, 0.001, 0.01, 0.1, 1, 10]

VECTORIZER = Step(
    name="tfidf",
    path="sklearn.feature_extraction.text.TfidfVectorizer",
    parameters={"stop_words": "english"},
)
"""What every family puts before its model when the data are texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model family: the class, what is always set on it, and what is searched.

    Args:
        title: Its name for people.
        path: Import path of the scikit-learn class.
        fixed: Parameters that every candidate has.
        grid: From (documents, classes) to the values to try per parameter.
        seeded: Whether the class takes a ``random_state``.
        group: Candidates that make one task; cheap fits share one, so that a message does not cost more than its work.
    """

    title: str
    path: str
    fixed: Mapping[str, Any]
    grid: Callable[[int, int], dict[str, list[Any]]]
    seeded: bool = True
    group: int = 1


def hidden_nodes(documents: int, classes: int) -> int:
    """Return the nodes per hidden layer that the public function's rule of thumb gives, at least 3.

    Args:
        documents: Rows of the whole data set, held-out rows included.
        classes: Different labels.

    Source: paper 001's public function; the positive root of n² + (3 + classes)·n + 4 = documents / 10, rounded down.
    """
    linear = 3 + classes
    discriminant = linear**2 - 4 * (4 - documents / 10)
    if discriminant <= 0:
        return 3
    return max(3, math.floor((-linear + math.sqrt(discriminant)) / 2))


def _mlpc_grid(documents: int, classes: int) -> dict[str, list[Any]]:
    nodes = hidden_nodes(documents, classes)
    smaller = nodes * 2 // 3
    return {
        "hidden_layer_sizes": [(nodes, nodes), (smaller, smaller)],
        "activation": ["tanh", "relu"],
        "learning_rate_init": [0.001, 0.01, 1],
    }


FAMILIES: Mapping[str, Family] = {
    "pac": Family(
        title="passive-aggressive",
        path="sklearn.linear_model.SGDClassifier",
        fixed={"penalty": None, "max_iter": 100_000},
        grid=lambda _d, _c: {"loss": ["hinge", "squared_hinge"], "fit_intercept": [True, False], "C": _STRENGTHS},
        group=24,
    ),
    "log": Family(
        title="logistic regression",
        path="sklearn.linear_model.LogisticRegression",
        fixed={"max_iter": 1_000_000},
        grid=lambda _d, _c: {"solver": ["saga"], "penalty": ["l1", "l2", "elasticnet"], "C": _STRENGTHS},
        group=3,
    ),
    "mnb": Family(
        title="multinomial naive Bayes",
        path="sklearn.naive_bayes.MultinomialNB",
        fixed={},
        grid=lambda _d, _c: {"fit_prior": [True, False], "alpha": _STRENGTHS},
        seeded=False,
        group=12,
    ),
    "mlpc": Family(
        title="multi-layer perceptron",
        path="sklearn.neural_network.MLPClassifier",
        fixed={"max_iter": 1_000_000},
        grid=_mlpc_grid,
    ),
    "svc": Family(
        title="support vector classifier",
        path="sklearn.svm.SVC",
        fixed={"max_iter": 1_000_000},
        grid=lambda _d, _c: {"kernel": ["poly", "rbf"], "gamma": ["scale", "auto"], "C": [0.1, 1]},
        group=2,
    ),
    "dt": Family(
        title="decision tree",
        path="sklearn.tree.DecisionTreeClassifier",
        fixed={},
        grid=lambda _d, _c: {
            "max_features": ["sqrt", "log2", None],
            "max_depth": [None, 5, 10],
            "criterion": ["gini", "entropy"],
        },
        group=6,
    ),
    "kn": Family(
        title="k nearest neighbours",
        path="sklearn.neighbors.KNeighborsClassifier",
        fixed={},
        grid=lambda _d, _c: {
            "weights": ["uniform", "distance"],
            "n_neighbors": [5, 10, 20],
            "algorithm": ["auto", "ball_tree", "kd_tree"],
        },
        seeded=False,
        group=6,
    ),
    "rf": Family(
        title="random forest",
        path="sklearn.ensemble.RandomForestClassifier",
        fixed={},
        grid=lambda _d, _c: {
            "n_estimators": [50, 100, 200],
            "max_depth": [None, 5, 10],
            "criterion": ["gini", "entropy"],
        },
    ),
}


def find_family(name: str) -> Family:
    """Return a family by its short name.

    Raises:
        DataError: there is no such family; the message lists the eight.
    """
    try:
        return FAMILIES[name]
    except (KeyError, TypeError):
        raise DataError(f"model: unknown family {name!r}; choose one of {', '.join(FAMILIES)}", field="model") from None


def describe_family(name: str, *, text: bool, random_state: int = 0) -> Model:
    """Return the model that a family stands for.

    Args:
        name: Short name of the family.
        text: Whether the rows are texts, which then pass a TF-IDF vectoriser without English stop words first.
        random_state: Seed of the families that draw random numbers.
    """
    family = find_family(name)
    parameters = dict(family.fixed)
    if family.seeded:
        parameters["random_state"] = random_state
    if name == "pac":
        parameters["learning_rate"] = "pa1"
    step = Step(name="model", path=family.path, parameters=parameters)
    return Model(steps=(VECTORIZER, step) if text else (step,), pipeline=text, family=name)


def translate(family: str | None, parameters: Mapping[str, Any], *, pipeline: bool) -> dict[str, Any]:
    """Return a candidate's parameters under the names that ``set_params`` of the built estimator knows.

    Args:
        family: The family whose names are used, or None when they are scikit-learn's already.
        parameters: The candidate; in a family's pipeline, ``step__name`` reaches another step than the model.
        pipeline: Whether the estimator is a pipeline with a step named ``model``.
    """
    if family is None:
        return dict(parameters)
    renamed = _passive_aggressive(parameters) if family == "pac" else dict(parameters)
    if not pipeline:
        return renamed
    return {name if "__" in name else f"model__{name}": value for name, value in renamed.items()}


def _passive_aggressive(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Write PA-I and PA-II as scikit-learn 1.8 and later do: the step rule is the learning rate, C is ``eta0``."""
    renamed = {name: value for name, value in parameters.items() if name not in {"loss", "C"}}
    if "C" in parameters:
        renamed["eta0"] = parameters["C"]
    else:
        renamed["eta0"] = 1.0
    rules = {"hinge": "pa1", "squared_hinge": "pa2"}
    loss = parameters.get("loss", "hinge")
    if loss not in rules:
        raise DataError(f"grid.loss: pac knows hinge and squared_hinge, not {loss!r}", field="grid.loss")
    renamed["learning_rate"] = rules[loss]
    return renamed
