"""What a worker does with a task: build the fold once, fit every candidate on it, answer with plain numbers."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from skerry.errors import SkerryError
from skerry.learn.search import shortcut
from skerry.learn.search.dataset import Dataset, open_dataset
from skerry.learn.search.folds import split_rows
from skerry.learn.search.grid import from_plain
from skerry.learn.search.messages import Folds, Holdout, Outcome, Task, TaskResult
from skerry.learn.search.pipeline import TRUSTED, build
from skerry.learn.search.text import View, fold_matrices, open_counts, share_counts, view_of
from skerry.payload import Folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skerry.learn.search.folds import Split


def evaluate_task(task: Task, trusted: Sequence[str] = TRUSTED) -> TaskResult:
    """Fit and score the candidates of one task.

    The same task gives the same scores in any process and any number of times, so it may be repeated freely.

    Args:
        task: The message.
        trusted: Module prefixes from which the model's classes may come.

    Returns:
        One outcome per candidate. A candidate that scikit-learn cannot fit has no score but the reason.
    """
    data = _open_dataset(task.data)
    outcomes = []
    for number, plain in zip(task.candidates, task.parameters, strict=True):
        estimator = build(task.model, from_plain(plain), trusted)
        outcomes.append(_evaluate(task, data, number, estimator))
    return TaskResult(number=task.number, outcomes=outcomes)


def _evaluate(task: Task, data: Dataset, number: int, estimator: Any) -> Outcome:
    """Fit and score one candidate, as ``GridSearchCV`` does: what fitting raises is the candidate's failure.

    The times leave out the making of the fold's matrices, which candidates share.
    """
    started = fitted = time.perf_counter()
    score, reason = None, None
    with warnings.catch_warnings():
        # The same warning from every fold and candidate would bury what a log is for.
        warnings.simplefilter("ignore")
        try:
            fold = _open_fold(task, data, estimator)
            started = time.perf_counter()
            shortcut.fit(fold.model, fold.train, fold.train_labels)
            fitted = time.perf_counter()
            score = score_model(fold.model, fold.test, fold.test_labels, task.scoring)
        except (SkerryError, OSError, MemoryError):
            # The place is at fault, not the candidate: elsewhere the same task may succeed.
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    ended = time.perf_counter()
    if score is not None and not math.isfinite(score):
        score, reason = None, f"the score is {score}"
    # A failed fit has spent its time fitting, as scikit-learn counts it.
    fit_s, score_s = (fitted - started, ended - fitted) if fitted > started else (ended - started, 0.0)
    return Outcome(candidate=number, fold=task.fold, score=score, fit_s=fit_s, score_s=score_s, error=reason)


class _Fold:
    """A candidate's estimator with the rows that it trains on and is scored on."""

    __slots__ = ("model", "test", "test_labels", "train", "train_labels")

    def __init__(self, model: Any, features: tuple[Any, Any], labels: tuple[NDArray[Any], NDArray[Any]]) -> None:
        self.model = model
        self.train, self.test = features
        self.train_labels, self.test_labels = labels


def _open_fold(task: Task, data: Dataset, estimator: Any) -> _Fold:
    key = (task.data, task.folds, task.holdout, task.fold)
    labels = _fold_labels(*key)
    if data.kind == "array":
        return _Fold(estimator, _fold_features(*key, None), labels)
    steps = getattr(estimator, "steps", None)
    view = view_of(steps[0][1]) if steps and len(steps) > 1 else None
    if view is None:
        return _Fold(estimator, _fold_texts(*key), labels)
    return _Fold(_after_first_step(estimator), _fold_features(*key, view), labels)


def _after_first_step(estimator: Any) -> Any:
    """Return the pipeline without its vectoriser, whose matrices are at hand already."""
    from sklearn.pipeline import Pipeline

    rest = estimator.steps[1:]
    return rest[0][1] if len(rest) == 1 else Pipeline(rest)


@lru_cache(maxsize=4)
def _open_dataset(data: Folder) -> Dataset:
    # The cache keeps the folder object too, and with it what holds the folder: no site evicts what is mapped here.
    return open_dataset(os.fspath(data))


@lru_cache(maxsize=4)
def _splits(data: Folder, folds: Folds, holdout: Holdout | None) -> list[Split]:
    return split_rows(_open_dataset(data).labels, folds, holdout)


@lru_cache(maxsize=8)
def _fold_labels(data: Folder, folds: Folds, holdout: Holdout | None, fold: int) -> tuple[NDArray[Any], NDArray[Any]]:
    labels = _open_dataset(data).labels
    train, test = _splits(data, folds, holdout)[fold]
    return labels[train], labels[test]


@lru_cache(maxsize=2)
def _fold_features(
    data: Folder, folds: Folds, holdout: Holdout | None, fold: int, view: View | None
) -> tuple[Any, Any]:
    """Return a fold's matrices; candidates that follow each other on the same fold share them."""
    opened = _open_dataset(data)
    train, test = _splits(data, folds, holdout)[fold]
    if view is not None:
        counts = open_counts(str(share_counts(opened, view.analysis)))
        return fold_matrices(counts, train, test, view)
    import numpy as np

    if opened.features is None:
        raise ValueError("the data set holds texts; put a vectoriser first")
    return np.asarray(opened.features[train]), np.asarray(opened.features[test])


@lru_cache(maxsize=2)
def _fold_texts(data: Folder, folds: Folds, holdout: Holdout | None, fold: int) -> tuple[list[str], list[str]]:
    texts = _open_dataset(data).read_texts()
    train, test = _splits(data, folds, holdout)[fold]
    return [texts[row] for row in train], [texts[row] for row in test]


def score_model(model: Any, features: Any, labels: NDArray[Any], scoring: str | None) -> float:
    """Return the score of a fitted model on validation rows.

    Args:
        model: The fitted estimator.
        features: Validation rows; they stay as they are.
        labels: Their labels, shape (rows,).
        scoring: Name of a scikit-learn scorer, or None for the estimator's own.
    """
    import numpy as np
    from sklearn.base import ClassifierMixin
    from sklearn.metrics import check_scoring

    if scoring is None and getattr(type(model), "score", None) is ClassifierMixin.score:
        # The accuracy that ``score`` would return, without its checks of labels that were checked before.
        return float(np.average(shortcut.predict(model, features) == labels))
    return float(check_scoring(model, scoring)(model, features.copy(), labels))
