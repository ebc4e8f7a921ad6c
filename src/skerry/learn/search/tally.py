"""The running count of a search: which fits have ended, and which candidate leads so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from skerry.learn.search.messages import Outcome
from skerry.learn.search.progress import Progress


class Tally:
    """Outcomes as they come in.

    Args:
        candidates: The combinations of the grid.
        folds: How many folds each needs.
    """

    def __init__(self, candidates: Sequence[Mapping[str, Any]], folds: int) -> None:
        self._candidates = candidates
        self._folds = folds
        self._scores: dict[int, list[float | None]] = {}
        self._failed = 0
        self._best: tuple[float, int] | None = None
        self.done: set[tuple[int, int]] = set()
        self.outcomes: list[Outcome] = []

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes; one that was counted before is ignored, because a task may run twice."""
        for outcome in outcomes:
            place = (outcome.candidate, outcome.fold)
            if place in self.done:
                continue
            self.done.add(place)
            self.outcomes.append(outcome)
            self._failed += outcome.score is None
            scores = self._scores.setdefault(outcome.candidate, [])
            scores.append(outcome.score)
            if len(scores) == self._folds:
                self._compare(outcome.candidate, scores)

    def _compare(self, candidate: int, scores: Sequence[float | None]) -> None:
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
            return
        mean = sum(known) / len(known)
        if self._best is None or mean > self._best[0]:
            self._best = (mean, candidate)

    def progress(self) -> Progress:
        """Return where the search stands."""
        return Progress(
            done=len(self.done),
            total=len(self._candidates) * self._folds,
            failed=self._failed,
            best_score=self._best[0] if self._best else None,
            best_parameters=self._candidates[self._best[1]] if self._best else None,
        )
