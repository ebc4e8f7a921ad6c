"""The functions of the experiment, deployed to every site."""

from __future__ import annotations

import builtins
import os
import tempfile
from pathlib import Path
from typing import Any

import skerry
from skerry.learn.search import (
    Map,
    Outcome,
    SearchResult,
    Task,
    TaskResult,
    evaluate_task,
    list_candidates,
    over,
    search,
    share_texts,
)
from skerry.learn.search.app import PRELOADED
from skerry.learn.search.families import describe_family, find_family
from skerry.learn.search.pipeline import TRUSTED
from skerry.learn.search.prepare import prepare
from skerry.learn.search.wire import FOLDS
from skerry.platforms.home import ENGINE_VARIABLE
from skerry.testbed.experiments.training_6g.messages import Found, Request, Share

FAMILY = "pac"

app = skerry.App("training-6g", imports=PRELOADED)


@app.function(idempotent=True, timeout="1h", cpu=1, scale=skerry.Scale(min=2, initial=2, max=2))
def evaluate(task: Task) -> TaskResult:
    """Fit and score candidates on one fold, for a search that has more than one core."""
    return evaluate_task(task)


@app.function(idempotent=True, timeout="1h", max_body="64MiB", cpu=1, scale=skerry.Scale(min=2, initial=2, max=2))
def train(request: Request) -> Found:
    """Search the grid on the articles; on more than one core where the request allows it."""
    with tempfile.TemporaryDirectory(prefix="skerry-training-") as folder:
        result = search_articles(request, Path(folder), spread=_spread(request.workers))
    return found(result)


@app.function(idempotent=True, timeout="1h", max_body="64MiB", cpu=1, scale=skerry.Scale(min=1, initial=1, max=1))
def train_share(request: Request) -> Share:
    """Fit and score all candidates on some of the folds."""
    with tempfile.TemporaryDirectory(prefix="skerry-training-") as folder:
        return Share(outcomes=evaluate_folds(request, Path(folder)))


@app.function(idempotent=True, timeout="1h", max_body="64MiB", scale=skerry.Scale(min=1, initial=1, max=1))
def train_reference(request: Request) -> Found:
    """Do the same with scikit-learn alone."""
    from skerry.testbed.experiments.training_6g.reference import search_reference

    return search_reference(request)


def search_articles(request: Request, root: Path, *, spread: Map = builtins.map) -> SearchResult:
    """Search paper 001's grid on a request's articles.

    Args:
        request: The articles.
        root: An empty folder, so that nothing was counted before.
        spread: The executor.
    """
    data = share_texts(request.texts, request.labels, root=root, blank="keep")
    return search(data, FAMILY, folds=FOLDS, map=spread)


def evaluate_folds(request: Request, root: Path) -> list[Outcome]:
    """Fit and score all candidates on the request's folds.

    Args:
        request: The articles and the numbers of the folds.
        root: An empty folder.
    """
    data = share_texts(request.texts, request.labels, root=root, blank="keep")
    model, candidates = describe_family(FAMILY, text=True, random_state=0), list_all_candidates()
    prepare(data, model, candidates, FOLDS, None, TRUSTED)
    outcomes: list[Outcome] = []
    for fold in request.folds or []:
        task = Task(
            number=fold,
            data=data.to_folder(),
            model=model,
            folds=FOLDS,
            fold=fold,
            candidates=list(range(len(candidates))),
            parameters=candidates,
        )
        outcomes.extend(evaluate_task(task).outcomes)
    return outcomes


def list_all_candidates() -> list[dict[str, Any]]:
    """Return every candidate of the paper's grid, in its order; it is the same for all articles."""
    return list_candidates(find_family(FAMILY).grid(0, 2))


def found(result: SearchResult) -> Found:
    """Return a result as what travels."""
    return Found(
        parameters=result.best_parameters,
        score=result.best_score,
        scores=[float(score) for score in result.cv_results["mean_test_score"]],
    )


def _spread(workers: int) -> Map:
    """Return the executor for so many cores; only an engine's worker has others to send tasks to."""
    return over(evaluate, in_flight=workers) if workers > 1 and ENGINE_VARIABLE in os.environ else builtins.map
