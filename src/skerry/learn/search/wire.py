"""Paper 001's public function: its request in, its answer out.

Source: the published function ``fake-news-train``: 80/20 split, ``RepeatedStratifiedKFold`` of 2 x 3 folds, a grid per
model family, accuracy on validation and held-out rows. It differs in that random numbers are seeded, and that
candidates which scikit-learn cannot fit, and texts without a word, are named in the answer.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from skerry.errors import DataError
from skerry.learn.search.dataset import share_texts
from skerry.learn.search.families import find_family
from skerry.learn.search.grid import Grid
from skerry.learn.search.messages import Folds, Holdout
from skerry.learn.search.progress import Watch, ignore
from skerry.learn.search.results import SearchResult
from skerry.learn.search.scatter import Map, Settings, search

FOLDS = Folds(splits=2, repeats=3, stratified=True, random_state=1)
HOLDOUT = Holdout(test_ratio=0.2, random_state=6)


class TrainRequest(BaseModel):
    """A request: the family's short name, texts by key, labels by the same keys."""

    model_config = ConfigDict(extra="forbid")

    model: str
    x_dict: dict[str, str]
    y_dict: dict[str, str | int]


def read_request(request: TrainRequest) -> tuple[list[str], list[str], list[str | int]]:
    """Return the keys, texts and labels of a request, in the order of its texts.

    Raises:
        DataError: the texts and the labels have different keys.
    """
    only_x = [key for key in request.x_dict if key not in request.y_dict]
    only_y = [key for key in request.y_dict if key not in request.x_dict]
    if only_x or only_y:
        key, has, lacks = (only_x[0], "x_dict", "y_dict") if only_x else (only_y[0], "y_dict", "x_dict")
        count = len(only_x) + len(only_y)
        raise DataError(
            f"x_dict and y_dict: {count} keys are in one only, such as {key!r}, which is in {has} and not in {lacks}",
            field=lacks,
        )
    keys = list(request.x_dict)
    return keys, list(request.x_dict.values()), [request.y_dict[key] for key in keys]


def train_request(
    request: TrainRequest,
    *,
    grid: Grid | None = None,
    map: Map = builtins.map,
    root: Path | None = None,
    watch: Watch = ignore,
) -> dict[str, Any]:
    """Search the family's grid on a request's texts and return the public function's answer.

    Args:
        request: The request.
        grid: Other values to try than the public function's.
        map: The executor of the search.
        root: The folder for the shared data set, or None for the default.
        watch: Called after every task.

    Returns:
        ``best parameters``, ``accuracy (validation)`` and ``accuracy (test)``, both in [0, 1]; ``failed``: candidates
        that could not be fitted, each with ``parameters`` and ``reason``; ``blank texts``: keys of texts without
        anything but white space, which train as rows without a word.

    Raises:
        DataError: an unknown model, keys that differ, or data that cannot be searched.
    """
    find_family(request.model)
    keys, texts, labels = read_request(request)
    data = share_texts(texts, labels, root=root, blank="keep")
    settings = Settings(holdout=HOLDOUT, watch=watch)
    result = search(data, request.model, grid, folds=FOLDS, map=map, settings=settings)
    blank = [key for key, text in zip(keys, texts, strict=True) if not text.strip()]
    return {**answer(result), "blank texts": blank}


def answer(result: SearchResult) -> dict[str, Any]:
    """Return a result in the words of the public function's answer."""
    return {
        "best parameters": _public_parameters(result.best_parameters),
        "accuracy (validation)": result.best_score,
        "accuracy (test)": result.holdout_score,
        "failed": [
            {"parameters": _public_parameters(each.parameters), "reason": each.reason} for each in result.failed
        ],
    }


def _public_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Write the two layers of a perceptron and its learning rate as the public function does."""
    public = dict(parameters)
    if "hidden_layer_sizes" in public:
        first, second = public["hidden_layer_sizes"]
        public["hidden_layer_sizes"] = {"first_hidden_layer": str(first), "second_hidden_layer": str(second)}
    if "learning_rate_init" in public:
        public["learning_rate"] = public.pop("learning_rate_init")
    return public
