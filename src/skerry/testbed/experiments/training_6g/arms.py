"""What the client does in each arm. Response time is paper 001's: from sending the first request to the last answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skerry.app.encoding import MSGPACK
from skerry.learn.search.families import describe_family
from skerry.learn.search.folds import count_folds
from skerry.learn.search.pipeline import build
from skerry.learn.search.results import find_best, list_failures, tabulate
from skerry.learn.search.wire import FOLDS
from skerry.testbed.experiments.calls import JSON, TimedCall, call, measure_together
from skerry.testbed.experiments.experiment import Outcome, Trial
from skerry.testbed.experiments.training_6g import app
from skerry.testbed.experiments.training_6g.articles import Articles, Division, divide, read_articles
from skerry.testbed.experiments.training_6g.messages import Found, Request, Share

EDGES = ("edge-1", "edge-2")
CLOUD = "cloud"


def prepare(trial: Trial) -> None:
    """Read the articles, and have every function answer once, so that no arm pays for what is done once."""
    small = read_articles("made", 30)
    request = Request(texts=small.texts, labels=small.labels)
    with ThreadPoolExecutor(max_workers=len(trial.sites)) as threads:
        list(threads.map(lambda site: _warm(trial, site, request), trial.sites))
    _fit(small, {"loss": "hinge", "fit_intercept": True, "C": 1.0}, small)
    _articles(trial)


def _warm(trial: Trial, name: str, request: Request) -> None:
    site = trial.sites[name]
    both = [request, request.model_copy(update={"workers": 2})]
    for each in both if name == CLOUD and any("2-cores" in arm for arm in trial.arms) else both[:1]:
        call(app.train, site, each)
        if any(arm.endswith("-reference") for arm in trial.arms):
            # Processes that scikit-learn starts for a second core stay with the function's one worker.
            call(app.train_reference, site, each, content_type=JSON)
    if name in EDGES and "edge-exact" in trial.arms:
        call(app.train_share, site, request.model_copy(update={"folds": [0]}))


def run_split(trial: Trial, *, sites: Sequence[str], reference: bool = False) -> Outcome:
    """Send 40 % of the articles to each of two functions; the better result wins: the paper's way."""
    division = _division(trial)
    return _run_searches(trial, division, division.halves, sites, reference=reference)


def run_whole(trial: Trial, *, site: str, workers: int, reference: bool = False) -> Outcome:
    """Send 80 % of the articles to one function."""
    division = _division(trial)
    return _run_searches(trial, division, [division.training], [site], workers=workers, reference=reference)


def run_exact(trial: Trial, *, sites: Sequence[str]) -> Outcome:
    """Send 80 % of the articles to every site and have each do its part of the folds: the answer of one machine."""
    division = _division(trial)
    training = division.training
    began_s = time.monotonic()
    calls = call_together(
        [
            _caller(trial, app.train_share, site, _request(training, folds=list(range(number, 6, len(sites)))))
            for number, site in enumerate(sites)
        ]
    )
    found = merge([one.value for one in calls])
    ended_s = time.monotonic()
    return _finish(division, found, measure_together(calls, began_s=began_s, ended_s=ended_s))


def merge(shares: Sequence[Share]) -> Found:
    """Return what a search finds whose outcomes come in parts.

    Args:
        shares: The parts; together they hold every candidate on every fold.
    """
    candidates = app.list_all_candidates()
    outcomes = [outcome for share in shares for outcome in share.outcomes]
    table = tabulate(outcomes, candidates, count_folds(FOLDS))
    best, score = find_best(table, list_failures(outcomes, candidates))
    return Found(
        parameters=dict(candidates[best]), score=score, scores=[float(mean) for mean in table["mean_test_score"]]
    )


def call_together(callers: Sequence[Callable[[], TimedCall]]) -> list[TimedCall]:
    """Make calls at the same time and return all of them, in order."""
    with ThreadPoolExecutor(max_workers=len(callers)) as threads:
        return list(threads.map(lambda one: one(), callers))


def _run_searches(
    trial: Trial,
    division: Division,
    parts: Sequence[Articles],
    sites: Sequence[str],
    *,
    workers: int = 1,
    reference: bool = False,
) -> Outcome:
    function = app.train_reference if reference else app.train
    began_s = time.monotonic()
    calls = call_together(
        [
            _caller(trial, function, site, _request(part, workers=workers), JSON if reference else MSGPACK)
            for part, site in zip(parts, sites, strict=True)
        ]
    )
    ended_s = time.monotonic()
    best = max((one.value for one in calls), key=lambda found: found.score)
    return _finish(division, best, measure_together(calls, began_s=began_s, ended_s=ended_s))


def _caller(
    trial: Trial, function: Any, site: str, request: Request, content_type: str = MSGPACK
) -> Callable[[], TimedCall]:
    return lambda: call(function, trial.sites[site], request, content_type=content_type)


def _request(articles: Articles, **more: Any) -> Request:
    return Request(texts=articles.texts, labels=articles.labels, **more)


def _finish(division: Division, found: Found, values: dict[str, float]) -> Outcome:
    """Fit the winner here on all 80 %, as the paper does, and score it on the test set."""
    began_s = time.monotonic()
    accuracy = _fit(division.training, found.parameters, division.test)
    final_s = time.monotonic() - began_s
    return Outcome(
        values={
            **values,
            "final_fit_s": final_s,
            "total_time_s": values["response_time_s"] + final_s,
            "test_accuracy": accuracy,
            "validation_accuracy": found.score,
        },
        notes={
            "articles": len(division.training) + len(division.test),
            "parameters": found.parameters,
            "scores": found.scores,
        },
    )


def _fit(training: Articles, parameters: dict[str, Any], test: Articles) -> float:
    estimator = build(describe_family(app.FAMILY, text=True, random_state=0), parameters)
    estimator.fit(training.texts, training.labels)
    return float(estimator.score(test.texts, test.labels))


def _division(trial: Trial) -> Division:
    return divide(_articles(trial), trial.seed)


def _articles(trial: Trial) -> Articles:
    if "articles" not in trial.memory:
        count = int(trial.options["count"])
        trial.memory["articles"] = read_articles(trial.options["articles"], count or None)
    articles: Articles = trial.memory["articles"]
    return articles
