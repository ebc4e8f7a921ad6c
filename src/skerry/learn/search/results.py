"""Outcomes gathered into the arrays of scikit-learn's ``cv_results_``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError
from skerry.learn.search.messages import Model, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A candidate that scikit-learn could not fit or score on some folds, and why."""

    candidate: int
    parameters: Mapping[str, Any]
    folds: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """What a search found.

    Args:
        model: The description of what was fitted.
        candidates: Every combination of the grid, in scikit-learn's order.
        cv_results: The arrays that ``GridSearchCV`` calls ``cv_results_``, under the same names; times in seconds.
        best_index: The winning candidate.
        best_score: Its mean score over the folds.
        failed: Candidates without a score on some fold; they rank last.
        holdout_score: Score on the held-out rows of the winner, fitted again on all others; None without any.
        digest: SHA-256 of data, model, folds and grid: equal for searches that must give equal answers.
        wall_s: How long the search took.
    """

    model: Model
    candidates: list[dict[str, Any]]
    cv_results: dict[str, Any]
    best_index: int
    best_score: float
    failed: list[Failure]
    holdout_score: float | None
    digest: str
    wall_s: float

    @property
    def best_parameters(self) -> dict[str, Any]:
        """The winning candidate's parameters."""
        return dict(self.candidates[self.best_index])

    @property
    def ranking(self) -> list[int]:
        """Candidate numbers from best to worst; ties in the order of the grid."""
        ranks = self.cv_results["rank_test_score"]
        return [int(number) for number in ranks.argsort(kind="stable")]


def tabulate(outcomes: Iterable[Outcome], candidates: Sequence[Mapping[str, Any]], folds: int) -> dict[str, Any]:
    """Return the outcomes as scikit-learn's ``cv_results_``, computed by the same operations on the same arrays.

    Args:
        outcomes: One per candidate and fold, in any order.
        candidates: The combinations, in order.
        folds: How many folds there are.

    Returns:
        ``split<N>_test_score``, ``mean_``, ``std_`` and ``rank_test_score``, ``mean_`` and ``std_`` of ``fit_time`` and
        ``score_time`` (seconds), ``params`` and one masked array ``param_<name>`` per parameter.

    Source: scikit-learn 1.9, ``BaseSearchCV._format_results``.
    """
    import numpy as np
    from scipy.stats import rankdata

    scores, fit_s, score_s = (np.full((len(candidates), folds), np.nan) for _ in range(3))
    for outcome in outcomes:
        place = outcome.candidate, outcome.fold
        scores[place] = np.nan if outcome.score is None else outcome.score
        fit_s[place], score_s[place] = outcome.fit_s, outcome.score_s
    table: dict[str, Any] = {}
    for name, values in (("fit_time", fit_s), ("score_time", score_s)):
        table[f"mean_{name}"], table[f"std_{name}"] = _mean_and_spread(values)
    table.update(_mask_parameters(candidates))
    table["params"] = [dict(candidate) for candidate in candidates]
    for fold in range(folds):
        table[f"split{fold}_test_score"] = scores[:, fold]
    means, spread = _mean_and_spread(scores)
    table["mean_test_score"], table["std_test_score"] = means, spread
    if np.isnan(means).all():
        ranks = np.ones(len(means))
    else:
        # Failed candidates rank last, together.
        ranks = rankdata(-np.nan_to_num(means, nan=np.nanmin(means) - 1), method="min")
    table["rank_test_score"] = ranks.astype(np.int32)
    return table


def _mean_and_spread(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    import numpy as np

    means = np.average(values, axis=1)
    return means, np.sqrt(np.average((values - means[:, np.newaxis]) ** 2, axis=1))


def _mask_parameters(candidates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one masked array per parameter; a candidate that lacks the parameter is masked in it."""
    import numpy as np

    names = {name: None for candidate in candidates for name in candidate}
    arrays = {}
    for name in names:
        given = {number: each[name] for number, each in enumerate(candidates) if name in each}
        arrays[f"param_{name}"] = array = np.ma.MaskedArray(
            np.empty(len(candidates), dtype=_common_type(list(given.values()))), mask=True
        )
        for number, value in given.items():
            array[number] = value
    return arrays


def _common_type(values: list[Any]) -> Any:
    """Return the NumPy type that holds all values one by one; strings and sequences stay Python objects."""
    import numpy as np

    try:
        array = np.array(values)
    except ValueError:
        return np.dtype(object)
    return array.dtype if array.dtype.kind != "U" and array.ndim == 1 else np.dtype(object)


def list_failures(outcomes: Iterable[Outcome], candidates: Sequence[Mapping[str, Any]]) -> list[Failure]:
    """Return the candidates that failed on some fold, each with the reason of its first such fold."""
    failed: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.error is not None:
            failed.setdefault(outcome.candidate, []).append(outcome)
    return [
        Failure(
            candidate=number,
            parameters=dict(candidates[number]),
            folds=tuple(sorted(each.fold for each in failed[number])),
            reason=min(failed[number], key=lambda each: each.fold).error or "",
        )
        for number in sorted(failed)
    ]


def find_best(table: Mapping[str, Any], failed: Sequence[Failure]) -> tuple[int, float]:
    """Return the first candidate of rank 1 and its mean score.

    Raises:
        DataError: no candidate could be fitted on every fold.
    """
    import numpy as np

    best = int(table["rank_test_score"].argmin())
    score = float(table["mean_test_score"][best])
    if np.isnan(score):
        reason = failed[0].reason if failed else "no fold gave a score"
        raise DataError(f"grid: no candidate could be fitted on every fold; the first failed with {reason}")
    return best, score
