"""The other arm: paper 001's own algorithm, written with scikit-learn alone."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold, train_test_split
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

STRENGTHS = [0.0001, 0.001, 0.01, 0.1, 1, 10]
SEED = 0


def passive_aggressive() -> tuple[Any, Any]:
    """Return PA-I and PA-II with the grid, as scikit-learn writes them from 1.8 on.

    The deprecated `PassiveAggressiveClassifier` cannot stand here: in 1.9 its ``set_params(C=...)``, which a grid
    search calls, has no effect, so that every C would score as C = 1.
    """
    grid = {
        "model__learning_rate": ["pa1", "pa2"],
        "model__fit_intercept": [True, False],
        "model__eta0": STRENGTHS,
    }
    return SGDClassifier(penalty=None, max_iter=100_000, random_state=SEED), grid


def model_and_grid(family: str, documents: int) -> tuple[Any, Any]:
    """Return a family's estimator and grid as the public function has them, with seeds."""
    if family == "pac":
        return passive_aggressive()
    nodes = max(3, int((-5 + (25 - 4 * (4 - documents / 10)) ** 0.5) / 2))
    layers = [(nodes, nodes), (nodes * 2 // 3, nodes * 2 // 3)]
    choices: dict[str, tuple[Any, dict[str, list[Any]]]] = {
        "log": (
            LogisticRegression(max_iter=1_000_000, random_state=SEED),
            {"solver": ["saga"], "penalty": ["l1", "l2", "elasticnet"], "C": STRENGTHS},
        ),
        "mnb": (MultinomialNB(), {"fit_prior": [True, False], "alpha": STRENGTHS}),
        "mlpc": (
            MLPClassifier(max_iter=1_000_000, random_state=SEED),
            {"hidden_layer_sizes": layers, "activation": ["tanh", "relu"], "learning_rate_init": [0.001, 0.01, 1]},
        ),
        "svc": (
            SVC(max_iter=1_000_000, random_state=SEED),
            {"kernel": ["poly", "rbf"], "gamma": ["scale", "auto"], "C": [0.1, 1]},
        ),
        "dt": (
            DecisionTreeClassifier(random_state=SEED),
            {
                "max_features": ["sqrt", "log2", None],
                "max_depth": [None, 5, 10],
                "criterion": ["gini", "entropy"],
            },
        ),
        "kn": (
            KNeighborsClassifier(),
            {
                "weights": ["uniform", "distance"],
                "n_neighbors": [5, 10, 20],
                "algorithm": ["auto", "ball_tree", "kd_tree"],
            },
        ),
        "rf": (
            RandomForestClassifier(random_state=SEED),
            {"n_estimators": [50, 100, 200], "max_depth": [None, 5, 10], "criterion": ["gini", "entropy"]},
        ),
    }
    model, grid = choices[family]
    return model, {f"model__{name}": values for name, values in grid.items()}


def grid_search(family: str, texts: list[str], labels: list[Any]) -> tuple[Any, float]:
    """Run the public function's algorithm, serially.

    Returns:
        The fitted ``GridSearchCV`` and the accuracy on the held-out texts.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train, test, train_labels, test_labels = train_test_split(texts, labels, test_size=0.2, random_state=6)
        model, grid = model_and_grid(family, len(texts))
        pipeline = Pipeline([("tfidf", TfidfVectorizer(stop_words="english")), ("model", model)])
        cv = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=1)
        search = GridSearchCV(pipeline, grid, cv=cv, scoring="accuracy").fit(train, train_labels)
        return search, float(search.score(test, test_labels))
