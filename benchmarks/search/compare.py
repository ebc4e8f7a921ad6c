"""Whether two searches gave the same answer, array by array."""

from __future__ import annotations

from typing import Any

import numpy as np

from skerry.learn.search import SearchResult


def differences(ours: SearchResult, reference: Any, reference_test: float) -> list[str]:
    """Return the names of everything in which a search differs from the fitted ``GridSearchCV``; [] when equal.

    Scores, their means and spreads, ranks, the winner and the held-out accuracy are compared bit by bit (NaN equals
    NaN); times are not.
    """
    theirs = reference.cv_results_
    names = [name for name in theirs if name.endswith("_test_score")]
    found = [
        name
        for name in names
        if name not in ours.cv_results or not np.array_equal(ours.cv_results[name], theirs[name], equal_nan=True)
    ]
    if [_public(each) for each in theirs["params"]] != ours.cv_results["params"]:
        found.append("params")
    if ours.best_index != reference.best_index_:
        found.append("best_index")
    if ours.holdout_score != reference_test:
        found.append("held-out accuracy")
    return found


def _public(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return scikit-learn's parameters under the public function's names."""
    plain = {name.removeprefix("model__"): value for name, value in parameters.items()}
    if "eta0" in plain:
        plain["C"] = plain.pop("eta0")
        plain["loss"] = {"pa1": "hinge", "pa2": "squared_hinge"}[plain.pop("learning_rate")]
    return plain
