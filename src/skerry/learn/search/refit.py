"""The winner as a fitted scikit-learn estimator, ready to be exported and served."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from skerry.learn.search.dataset import Dataset
from skerry.learn.search.folds import hold_out
from skerry.learn.search.messages import Holdout
from skerry.learn.search.pipeline import TRUSTED, build
from skerry.learn.search.results import SearchResult


def fit_best(
    data: Dataset, result: SearchResult, *, holdout: Holdout | None = None, trusted: Sequence[str] = TRUSTED
) -> Any:
    """Fit the winning candidate on the rows of the search, as ``GridSearchCV`` does with ``refit``.

    Args:
        data: The data set that was searched.
        result: What the search found.
        holdout: Rows to leave out, as in the search; None fits on every row.
        trusted: Module prefixes from which the model's classes may come.

    Returns:
        The fitted pipeline or estimator; one for texts holds its own fitted vectoriser.
    """
    import numpy as np

    rows, _held = hold_out(data.rows, holdout)
    estimator = build(result.model, result.best_parameters, trusted)
    features: Any
    if data.features is None:
        texts = data.read_texts()
        features = [texts[row] for row in rows]
    else:
        features = np.asarray(data.features[rows])
    with warnings.catch_warnings():
        # The search met the same warnings on its folds and went on.
        warnings.simplefilter("ignore")
        return estimator.fit(features, data.labels[rows])
