"""What happens once before a search starts: the model is described, everything is checked, the words are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError
from skerry.learn.search.checks import check_enough_rows, check_folds, check_training_classes
from skerry.learn.search.dataset import Dataset
from skerry.learn.search.families import describe_family
from skerry.learn.search.folds import hold_out, split_rows
from skerry.learn.search.messages import Folds, Holdout, Model
from skerry.learn.search.pipeline import build, describe
from skerry.learn.search.text import View, open_counts, share_counts, view_of

if TYPE_CHECKING:
    from skerry.learn.search.folds import Split


def resolve_model(model: str | Model | Any, data: Dataset, random_state: int) -> Model:
    """Return the description of what the caller named, showed or described.

    Raises:
        DataError: an unknown family, an estimator that cannot be described, or data that were not shared.
    """
    if not isinstance(data, Dataset):
        raise DataError(
            f"data is a {type(data).__name__}: share it first, as share_arrays(x, y) or share_texts(texts, labels) does"
        )
    if isinstance(model, type):
        raise DataError(f"model is the class {model.__name__}: give an estimator, like {model.__name__}()")
    if isinstance(model, str):
        return describe_family(model, text=data.kind == "text", random_state=random_state)
    return model if isinstance(model, Model) else describe(model)


def prepare(
    data: Dataset,
    model: Model,
    candidates: Sequence[Mapping[str, Any]],
    folds: Folds,
    holdout: Holdout | None,
    trusted: Sequence[str],
) -> None:
    """Check data, folds and candidates, and count the words that the folds will share.

    Raises:
        DataError: naming what cannot be searched, before any work starts.
    """
    from sklearn.base import is_classifier

    estimators = [build(model, candidate, trusted) for candidate in candidates]
    used, _held = hold_out(data.rows, holdout)
    if is_classifier(estimators[0]):
        check_folds(data.labels, used, folds)
    else:
        check_enough_rows(len(used), folds)
    splits = split_rows(data.labels, folds, holdout)
    if is_classifier(estimators[0]):
        check_training_classes(data.labels, splits)
    if data.kind == "text":
        _check_words(data, estimators, splits)


def _check_words(data: Dataset, estimators: Sequence[Any], splits: Sequence[Split]) -> None:
    """Count the words once per way of counting, and refuse folds that have none to train on.

    Raises:
        DataError: there is no vectoriser, or the training rows of a fold hold no word.
    """
    seen: set[View] = set()
    for estimator in estimators:
        first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
        if not hasattr(first, "transform"):
            raise DataError("model: the data are texts; put a vectoriser such as TfidfVectorizer first in a pipeline")
        view = view_of(first)
        if view is None or view in seen:
            continue
        seen.add(view)
        counts = open_counts(str(share_counts(data, view.analysis)))
        lengths = counts.indptr[1:] - counts.indptr[:-1]
        for number, (train, _test) in enumerate(splits):
            if not lengths[train].any():
                raise DataError(
                    f"x: the training texts of fold {number} hold no word to count (only stop words, single letters "
                    "or nothing); use longer texts or fewer folds",
                    field="x",
                )
