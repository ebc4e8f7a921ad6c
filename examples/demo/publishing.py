"""The best model as a version in the model repository: exported to ONNX, compared with the original, then published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from training import FOLDS, HOLDOUT

from skerry.learn.search import Dataset, SearchResult, fit_best, split_rows
from skerry.serve import push
from skerry.store.models import Manifest, ModelRepository

ALIAS = "production"
# The export runs on all of them at once, and a text is as wide as the vocabulary.
MOST_COMPARED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The held-out rows, which no search has seen: what to send, the true labels, and the original's predictions."""

    rows: list[Any]
    truth: list[str]
    predicted: list[str]


def publish(
    repository: ModelRepository, name: str, data: Dataset, title: str, result: SearchResult
) -> tuple[Manifest, Held]:
    """Fit the winner on all rows of the search, push it, and point the alias at it.

    Args:
        repository: Where models are published.
        name: The model's name.
        data: The data set.
        title: What kind of model it is, for the manifest.
        result: What the search found.

    Returns:
        The manifest of the published version, and the held-out rows.

    Raises:
        ModelRejectedError: it cannot be exported, or the export differs from the original on held-out rows.
    """
    fitted = fit_best(data, result, holdout=HOLDOUT)
    _used, chosen = split_rows(data.labels, FOLDS, HOLDOUT)[-1]
    rows = _choose(data, chosen)
    held = Held(
        rows=rows if isinstance(rows, list) else rows.tolist(),
        truth=_texts(data.labels[chosen]),
        predicted=_texts(fitted.predict(rows)),
    )
    right = sum(given == true for given, true in zip(held.predicted, held.truth, strict=True))
    manifest = push(
        name,
        fitted,
        sample=rows[:MOST_COMPARED],
        repository=repository,
        metrics={"validation_accuracy": result.best_score, "test_accuracy": right / len(held.truth)},
        data_digest=f"sha256:{data.digest}",
        about={
            "model": title,
            "parameters": {key.removeprefix("model__"): value for key, value in result.best_parameters.items()},
            "rows": data.rows,
            "search_sha256": result.digest,
        },
        alias=ALIAS,
    )
    return manifest, held


def _choose(data: Dataset, chosen: Any) -> Any:
    if data.features is not None:
        return np.asarray(data.features[chosen])
    texts = data.read_texts()
    return [texts[row] for row in chosen]


def _texts(labels: Any) -> list[str]:
    return [str(label) for label in np.asarray(labels).tolist()]
