"""Which rows train and which rows validate: recomputed by every worker from the same few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skerry.errors import DataError
from skerry.learn.search.messages import Folds, Holdout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]
    """Row numbers of a data set, shape (rows,)."""
    Split = tuple[Rows, Rows]
    """Training rows and validation rows of one fold."""


def hold_out(count: int, holdout: Holdout | None) -> Split:
    """Return the rows that the search uses, and those it never sees.

    Args:
        count: Rows of the data set.
        holdout: How to choose the held-out rows; None keeps every row for the search.

    Returns:
        Two arrays of row numbers; their order is that of ``train_test_split``, and the folds depend on it.
    """
    import numpy as np

    rows = np.arange(count)
    if holdout is None:
        return rows, rows[:0]
    from sklearn.model_selection import train_test_split

    used, held = train_test_split(rows, test_size=holdout.test_ratio, random_state=holdout.random_state)
    return used, held


def split_rows(labels: NDArray[Any], folds: Folds, holdout: Holdout | None = None) -> list[Split]:
    """Return the training and validation rows of every fold.

    Args:
        labels: The target of every row, shape (rows,).
        folds: How to split the rows of the search.
        holdout: Rows to leave out before.

    Returns:
        One pair per fold, in the order of scikit-learn's splitter, then the pair of the fold number `REFIT`
        (all rows of the search, all held-out rows) in the last place, where index -1 finds it.
    """
    import numpy as np

    used, held = hold_out(len(labels), holdout)
    # Splitters look at the labels and at the number of rows, never at the features.
    pairs = make_splitter(folds).split(np.zeros(len(used)), labels[used])
    splits = [(used[train], used[test]) for train, test in pairs]
    return [*splits, (used, held)]


def make_splitter(folds: Folds) -> Any:
    """Return the scikit-learn splitter that ``folds`` describes; the one to hand to ``GridSearchCV`` as ``cv``.

    Raises:
        DataError: rows would be shuffled without a seed.
    """
    from sklearn.model_selection import KFold, RepeatedKFold, RepeatedStratifiedKFold, StratifiedKFold

    if folds.random_state is None and (folds.shuffle or folds.repeats > 1):
        raise DataError("folds: shuffled or repeated folds need a random_state, so that every worker splits alike")
    if folds.repeats > 1:
        repeated = RepeatedStratifiedKFold if folds.stratified else RepeatedKFold
        return repeated(n_splits=folds.splits, n_repeats=folds.repeats, random_state=folds.random_state)
    single = StratifiedKFold if folds.stratified else KFold
    if not folds.shuffle:
        return single(n_splits=folds.splits)
    return single(n_splits=folds.splits, shuffle=True, random_state=folds.random_state)


def count_folds(folds: Folds) -> int:
    """Return how many folds a search has: splits times repeats."""
    return folds.splits * folds.repeats
