"""The reference: paper 001's own algorithm, with scikit-learn alone.

Source: the published function of paper 001: a grid over TF-IDF and a passive-aggressive classifier, 24 settings, two
stratified folds repeated three times. The classifier is written as the `SGDClassifier` that computes the same, as
scikit-learn documents it: in 1.9 the deprecated class ignores ``set_params(C=...)``, and every C would score alike.
"""

from __future__ import annotations

import warnings
from typing import Any

from skerry.testbed.experiments.training_6g.messages import Found, Request

STRENGTHS = (0.0001, 0.001, 0.01, 0.1, 1, 10)
RULES = {"pa1": "hinge", "pa2": "squared_hinge"}
GRID = {
    "model__learning_rate": list(RULES),
    "model__fit_intercept": [True, False],
    "model__eta0": list(STRENGTHS),
}


def search_reference(request: Request) -> Found:
    """Search with ``GridSearchCV`` over the whole pipeline, which counts the words anew for every fit."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold
    from sklearn.pipeline import Pipeline

    pipeline = Pipeline(
        [
            ("tfidf", TfidfVectorizer(stop_words="english")),
            ("model", SGDClassifier(penalty=None, max_iter=100_000, random_state=0)),
        ]
    )
    folds = RepeatedStratifiedKFold(n_splits=2, n_repeats=3, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = GridSearchCV(pipeline, GRID, cv=folds, scoring="accuracy", n_jobs=request.workers, refit=False)
        search.fit(request.texts, request.labels)
    return Found(
        parameters=to_public(search.best_params_),
        score=float(search.best_score_),
        scores=[float(score) for score in search.cv_results_["mean_test_score"]],
    )


def to_public(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters under the names of the public function."""
    return {
        "loss": RULES[parameters["model__learning_rate"]],
        "fit_intercept": parameters["model__fit_intercept"],
        "C": parameters["model__eta0"],
    }
