"""What a search refuses before it starts, with words for the person whose data it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from skerry.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skerry.learn.search.folds import Split
    from skerry.learn.search.messages import Folds

_SHOWN = 5


def check_labels(labels: Sequence[Any] | NDArray[Any], rows: int, *, classify: bool = True) -> NDArray[Any]:
    """Return the labels as an array that needs no pickle.

    Raises:
        DataError: missing, NaN or mixed labels, another count than the rows, or fewer than two classes.
    """
    import numpy as np

    if rows == 0:
        raise DataError("x: there are no rows", field="x")
    if len(labels) != rows:
        raise DataError(f"y: {len(labels)} labels for {rows} rows of x; give one label per row", field="y")
    listed = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
    missing = [row for row, label in enumerate(listed) if label is None or label != label]  # noqa: PLR0124 - NaN
    if missing:
        raise DataError(f"y: missing or NaN at {_name_rows(missing)}; label these rows or leave them out", field="y")
    array = np.asarray(labels if isinstance(labels, np.ndarray) and labels.dtype != object else listed)
    kinds = {"text" if isinstance(label, str) else "number" for label in listed}
    if array.ndim != 1 or array.dtype.kind not in "UbiufS" or len(kinds) > 1:
        raise DataError("y: expected one string or one number per row, all of the same kind", field="y")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"y: infinite at {_name_rows(np.flatnonzero(~np.isfinite(array)))}", field="y")
    if classify and len(np.unique(array)) < 2:
        raise DataError(f"y: every row has the label {listed[0]!r}; a classifier needs two classes", field="y")
    return array


def check_texts(texts: Sequence[str], *, blank: Literal["error", "keep"]) -> None:
    """Refuse what is no text, empty texts, and blank ones unless they are to be kept.

    Raises:
        DataError: naming the first few rows.
    """
    strange = [row for row, text in enumerate(texts) if not isinstance(text, str)]
    if strange:
        kind = type(texts[strange[0]]).__name__
        raise DataError(f"x: expected texts, got {kind} at {_name_rows(strange)}", field="x")
    empty = [row for row, text in enumerate(texts) if not (text if blank == "keep" else text.strip())]
    if empty:
        raise DataError(f"x: empty document at {_name_rows(empty)}; leave these rows out", field="x")


def check_features(features: Any) -> NDArray[Any]:
    """Return the features as a C-ordered matrix of floats, shape (rows, features).

    Raises:
        DataError: not numbers, no column, NaN or infinity.
    """
    import numpy as np

    try:
        array = np.asarray(features)
        wanted = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
        array = np.ascontiguousarray(array, dtype=wanted)
    except (TypeError, ValueError) as error:
        raise DataError(f"x: expected a matrix of numbers: {error}", field="x") from error
    if array.ndim < 2 or array.size == 0:
        raise DataError(f"x: expected a matrix with rows and columns, got the shape {array.shape}", field="x")
    array = array.reshape(len(array), -1)
    finite = np.isfinite(array)
    if not finite.all():
        rows = np.flatnonzero(~finite.all(axis=1))
        raise DataError(f"x: NaN or infinite at {_name_rows(rows)}; fill in or leave out these rows", field="x")
    return array


def check_folds(labels: NDArray[Any], used: NDArray[Any], folds: Folds) -> None:
    """Refuse labels that cannot be split as asked.

    Args:
        labels: The classes of every row of the data set.
        used: The rows of the search, without the held-out ones.
        folds: How they will be split.

    Raises:
        DataError: fewer rows than folds, fractions for classes, one class only, or a class smaller than the folds.
    """
    import numpy as np

    check_enough_rows(len(used), folds)
    classes, counts = np.unique(labels[used], return_counts=True)
    if classes.dtype.kind == "f" and (fractions := classes[classes % 1 != 0]).size:
        raise DataError(f"y: {fractions[0].item()!r} is a measure, not a class: a search is for classifiers", field="y")
    if len(classes) < 2:
        raise DataError(f"y: the rows of the search have one class only, {classes[0].item()!r}", field="y")
    if not folds.stratified:
        return
    for cls, count in zip(classes.tolist(), counts.tolist(), strict=True):
        if count < folds.splits:
            raise DataError(
                f"y: class {cls!r} has {count} of the search's rows, fewer than the {folds.splits} folds; "
                "use fewer folds or more rows of it",
                field="y",
            )


def check_enough_rows(rows: int, folds: Folds) -> None:
    """Refuse to split fewer rows than there are folds.

    Raises:
        DataError: there are fewer rows than folds.
    """
    if rows < folds.splits:
        raise DataError(f"x: {rows} rows cannot make {folds.splits} folds", field="x")


def check_training_classes(labels: NDArray[Any], splits: Sequence[Split]) -> None:
    """Refuse folds whose training rows have one class only, which unstratified folds can.

    Raises:
        DataError: naming the fold.
    """
    import numpy as np

    for number, (train, _test) in enumerate(splits):
        if len(np.unique(labels[train])) < 2:
            raise DataError(
                f"y: the training rows of fold {number} have one class only; use stratified folds or shuffle", field="y"
            )


def _name_rows(rows: Iterable[Any]) -> str:
    """Return ``row 3``, ``rows 3, 4`` or ``rows 3, 4, 5, 6, 7 and 12 more``; rows count from 0."""
    numbers = [int(row) for row in rows]
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"
