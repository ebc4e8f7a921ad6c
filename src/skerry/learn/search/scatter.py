"""A k-fold search scattered as folds x candidates over any executor, with the answer of the serial search."""

from __future__ import annotations

import builtins
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skerry.errors import DataError, SkerryError
from skerry.learn.search.dataset import Dataset
from skerry.learn.search.evaluate import evaluate_task
from skerry.learn.search.families import find_family
from skerry.learn.search.folds import count_folds
from skerry.learn.search.grid import Grid, list_candidates, to_plain
from skerry.learn.search.journal import Journal
from skerry.learn.search.messages import REFIT, Folds, Holdout, Model, Outcome, Task, TaskResult
from skerry.learn.search.pipeline import TRUSTED
from skerry.learn.search.prepare import prepare, resolve_model
from skerry.learn.search.progress import Watch, ignore
from skerry.learn.search.results import SearchResult, find_best, list_failures, tabulate
from skerry.learn.search.tally import Tally

Map = Callable[[Callable[[Task], TaskResult], Iterable[Task]], Iterator[TaskResult]]
"""An executor: it applies a function to tasks and yields the results in the order of the tasks.

Python's ``map`` is the serial one; :func:`over` makes one of a deployed function.
"""

_GROUP = 4
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a search runs, apart from what it searches.

    Args:
        scoring: Name of a scikit-learn scorer, or None for the estimator's own score.
        holdout: Rows to leave out and to score the winner on.
        random_state: Seed of the families that draw random numbers.
        group: Candidates per task; None lets the family choose.
        journal: A file for the finished tasks; a second run of the same search continues from it.
        watch: Called after every task.
        trusted: Module prefixes from which a worker builds the model's classes; a deployed function has its own.
    """

    scoring: str | None = None
    holdout: Holdout | None = None
    random_state: int = 0
    group: int | None = None
    journal: Path | None = None
    watch: Watch = ignore
    trusted: tuple[str, ...] = TRUSTED


def over(function: Any, *, in_flight: int = 32) -> Map:
    """Return the executor that sends tasks to a deployed function.

    A task whose worker was lost for good is sent once more, alone; the others are not disturbed.

    Args:
        function: A Skerry function from `Task` to `TaskResult`, such as ``skerry.learn.search.app.evaluate``.
        in_flight: Most tasks at a time.
    """

    def run(_local: Callable[[Task], TaskResult], tasks: Iterable[Task]) -> Iterator[TaskResult]:
        sent = list(tasks)
        answers = function.map(sent, in_flight=in_flight, return_errors=True)
        for task, answer in zip(sent, answers, strict=True):
            if not isinstance(answer, SkerryError):
                yield answer
            elif answer.retryable:
                yield function.remote(task)
            else:
                raise answer

    return run


def search(
    data: Dataset,
    model: str | Model | Any,
    grid: Grid | None = None,
    *,
    folds: Folds | None = None,
    map: Map = builtins.map,
    settings: Settings | None = None,
) -> SearchResult:
    """Search a grid by k-fold cross-validation; the answer does not depend on the executor or its workers.

    Args:
        data: A shared data set.
        model: The short name of a family, a scikit-learn pipeline or estimator, or a description of one.
        grid: Values to try per parameter, as ``GridSearchCV`` takes them; None takes the family's own grid.
        folds: How to split the rows; None means five stratified folds.
        map: The executor.
        settings: Everything else.

    Returns:
        The result, with the arrays of ``GridSearchCV`` on the same pipeline, grid and splitter.

    Raises:
        DataError: before any work starts, for data, grids or models that cannot be searched; afterwards, when no
            candidate could be fitted.
        SkerryError: the executor failed and did not recover.

    Example:
        >>> from skerry.learn.search import Folds, load_digits, search
        >>> result = search(load_digits(), "mnb", {"alpha": [0.1, 1.0]}, folds=Folds(splits=3))
        >>> result.best_parameters
        {'alpha': 1.0}
    """
    started = time.perf_counter()
    folds, settings = folds or Folds(), settings or Settings()
    described = resolve_model(model, data, settings.random_state)
    candidates = list_candidates(family_grid(described, data) if grid is None else grid)
    plain = [{name: to_plain(value, f"grid.{name}") for name, value in each.items()} for each in candidates]
    prepare(data, described, candidates, folds, settings.holdout, settings.trusted)
    digest = _digest(data, described, plain, folds, settings)

    plan = _Plan(data=data, model=described, plain=plain, folds=folds, settings=settings, map=map)
    outcomes = _run(plan, candidates, digest)
    table = tabulate(outcomes, candidates, count_folds(folds))
    failed = list_failures(outcomes, candidates)
    best, score = find_best(table, failed)
    return SearchResult(
        model=described,
        candidates=candidates,
        cv_results=table,
        best_index=best,
        best_score=score,
        failed=failed,
        holdout_score=_score_holdout(plan, best),
        digest=digest,
        wall_s=time.perf_counter() - started,
    )


def family_grid(model: Model, data: Dataset) -> Grid:
    """Return the grid of a family for a data set.

    Raises:
        DataError: the model is of no family, so that there is no grid to take.
    """
    import numpy as np

    if model.family is None:
        raise DataError("grid: needed for a model that is none of the families; name the parameters to try")
    return find_family(model.family).grid(data.rows, len(np.unique(data.labels)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Everything that the tasks of one search have in common."""

    data: Dataset
    model: Model
    plain: list[dict[str, Any]]
    folds: Folds
    settings: Settings
    map: Map

    def task(self, number: int, fold: int, candidates: Sequence[int]) -> Task:
        return Task(
            number=number,
            data=self.data.to_folder(),
            model=self.model,
            folds=self.folds,
            holdout=self.settings.holdout,
            scoring=self.settings.scoring,
            fold=fold,
            candidates=list(candidates),
            parameters=[self.plain[candidate] for candidate in candidates],
        )

    def tasks(self, done: set[tuple[int, int]]) -> list[Task]:
        """Return the tasks for every fold and candidate that is not done."""
        family = self.model.family
        group = self.settings.group or (find_family(family).group if family else _GROUP)
        tasks: list[Task] = []
        for fold in range(count_folds(self.folds)):
            left = [number for number in range(len(self.plain)) if (number, fold) not in done]
            parts = -(-len(left) // group)
            # Neighbours in a grid cost alike; dealt out in turn, the tasks of a fold cost about the same.
            tasks.extend(self.task(len(tasks), fold, left[part::parts]) for part in range(parts))
        return tasks

    def run(self, tasks: Sequence[Task]) -> Iterator[TaskResult]:
        """Yield the results of tasks; when the executor loses a worker for good, what is missing is sent again."""
        settings = self.settings
        work = evaluate_task if settings.trusted == TRUSTED else partial(evaluate_task, trusted=settings.trusted)
        received = 0
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                for result in self.map(work, tasks[received:]):
                    received += 1
                    yield result
                return
            except SkerryError as error:
                if not error.retryable or attempt == _ATTEMPTS:
                    raise


def _run(plan: _Plan, candidates: Sequence[dict[str, Any]], digest: str) -> list[Outcome]:
    """Run what the journal does not hold yet, and return all outcomes."""
    path = plan.settings.journal
    with Journal(path, digest) if path is not None else nullcontext() as journal:
        tally = Tally(candidates, count_folds(plan.folds))
        tally.add(journal.outcomes if journal else [])
        plan.settings.watch(tally.progress())
        for result in plan.run(plan.tasks(tally.done)):
            if journal:
                journal.add(result.outcomes)
            tally.add(result.outcomes)
            plan.settings.watch(tally.progress())
    return tally.outcomes


def _score_holdout(plan: _Plan, best: int) -> float | None:
    if plan.settings.holdout is None:
        return None
    (result,) = plan.run([plan.task(0, REFIT, [best])])
    return result.outcomes[0].score


def _digest(data: Dataset, model: Model, plain: list[dict[str, Any]], folds: Folds, settings: Settings) -> str:
    """Hash what decides the answer; scikit-learn's version is part of it."""
    import sklearn

    parts = {
        "data": data.digest,
        "model": model.model_dump(),
        "grid": plain,
        "folds": folds.model_dump(),
        "holdout": settings.holdout.model_dump() if settings.holdout else None,
        "scoring": settings.scoring,
        "sklearn": sklearn.__version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
