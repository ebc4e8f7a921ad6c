"""What the demo searches, and how: pipelines with small grids, all at once, over however many workers there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skerry.learn.search import (
    Dataset,
    Folds,
    Holdout,
    Progress,
    SearchResult,
    Settings,
    load_csv,
    load_digits,
    load_json,
    over,
    search,
)

FOLDS = Folds(splits=3, stratified=True, shuffle=True, random_state=1)
HOLDOUT = Holdout(test_ratio=0.2, random_state=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One kind of model: the pipeline, the values to try, and how many candidates make one call."""

    title: str
    pipeline: Pipeline
    grid: Mapping[str, Sequence[Any]]
    group: int = 6

    @property
    def candidates(self) -> int:
        """How many combinations the grid has."""
        return int(np.prod([len(values) for values in self.grid.values()]))


def load_data(path: Path | None, root: Path) -> Dataset:
    """Share the data that the demo works on: the person's own, or scikit-learn's digits.

    Args:
        path: A CSV file with a column ``label``, a JSON file with ``x_dict`` and ``y_dict``, or None.
        root: Where shared data sets are kept.

    Raises:
        DataError: the file cannot be read, or cannot be searched.
    """
    if path is None:
        return load_digits(root=root)
    if ".json" in path.suffixes:
        return load_json(path, root=root)[1]
    return load_csv(path, label="label", root=root)


def contenders(data: Dataset, *, quick: bool) -> list[Contender]:
    """Return what competes on a data set, the slowest first, so that the last calls are short ones."""
    everyone = _for_texts() if data.kind == "text" else _for_rows()
    return [each for each in everyone if not quick or each.group > 1]


def _for_rows() -> list[Contender]:
    def contender(title: str, model: Any, *, group: int = 6, **grid: list[Any]) -> Contender:
        pipeline = Pipeline([("scale", MinMaxScaler(clip=True)), ("model", model)])
        return Contender(title=title, pipeline=pipeline, grid=_of_model(grid), group=group)

    return [
        contender(
            "multi-layer perceptron",
            MLPClassifier(max_iter=1000, random_state=0),
            hidden_layer_sizes=[(32,), (64,)],
            learning_rate_init=[0.001, 0.01],
            group=1,
        ),
        contender("random forest", RandomForestClassifier(random_state=0), n_estimators=[50, 100, 200], group=1),
        contender("support vectors", SVC(random_state=0), kernel=["poly", "rbf"], C=[0.1, 1, 10], group=3),
        contender("logistic regression", LogisticRegression(max_iter=1000), C=[0.1, 1, 10]),
        _passive_aggressive(Pipeline([("scale", MinMaxScaler(clip=True)), ("model", _online_learner())])),
        contender(
            "decision tree", DecisionTreeClassifier(random_state=0), max_depth=[5, 10], criterion=["gini", "entropy"]
        ),
        contender("nearest neighbours", KNeighborsClassifier(), n_neighbors=[1, 3, 5], weights=["uniform", "distance"]),
        contender("naive Bayes", MultinomialNB(), alpha=[0.01, 0.1, 1]),
    ]


def _for_texts() -> list[Contender]:
    def contender(title: str, model: Any, *, group: int = 6, **grid: list[Any]) -> Contender:
        return Contender(title=title, pipeline=_after_words(model), grid=_of_model(grid), group=group)

    strengths = [0.001, 0.01, 0.1, 1, 10]
    return [
        contender("logistic regression", LogisticRegression(max_iter=1000), C=[0.1, 1, 10, 100], group=2),
        _passive_aggressive(_after_words(_online_learner())),
        contender("naive Bayes", MultinomialNB(), alpha=strengths, fit_prior=[True, False]),
    ]


def _online_learner() -> SGDClassifier:
    # What used to be PassiveAggressiveClassifier: this step rule gives the same coefficients.
    return SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=1.0, random_state=0)


def _passive_aggressive(pipeline: Pipeline) -> Contender:
    return Contender(title="passive-aggressive", pipeline=pipeline, grid={"model__eta0": [0.001, 0.01, 0.1, 1.0]})


def _after_words(model: Any) -> Pipeline:
    return Pipeline([("words", TfidfVectorizer(stop_words="english")), ("model", model)])


def _of_model(grid: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {f"model__{name}": values for name, values in grid.items()}


def search_all(
    data: Dataset, competing: Sequence[Contender], evaluate: Any, *, watch: Callable[[str, Progress], None]
) -> dict[str, SearchResult]:
    """Search every contender's grid at the same time and return the results by title.

    Args:
        data: The shared data set.
        competing: What competes.
        evaluate: The deployed function that runs tasks.
        watch: Called with a contender's title and its progress, from several threads.

    Raises:
        SkerryError: one of the searches failed; the message is that of the first one.
    """
    results: dict[str, SearchResult] = {}
    errors: list[BaseException] = []

    def run(contender: Contender) -> None:
        settings = Settings(
            holdout=HOLDOUT, group=contender.group, watch=lambda progress: watch(contender.title, progress)
        )
        try:
            results[contender.title] = search(
                data, contender.pipeline, contender.grid, folds=FOLDS, map=over(evaluate), settings=settings
            )
        except BaseException as error:
            errors.append(error)

    run_together([partial(run, each) for each in competing])
    if errors:
        raise errors[0]
    return {each.title: results[each.title] for each in competing}


def run_together(jobs: Sequence[Callable[[], None]]) -> None:
    """Run jobs in threads of their own and wait for all; after Ctrl-C they end with the process."""
    threads = [threading.Thread(target=job, daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def same_answers(one: Mapping[str, SearchResult], other: Mapping[str, SearchResult]) -> int:
    """Compare two runs of the same searches array by array and return how many arrays were compared.

    Raises:
        RuntimeError: an array differs, which must never happen.
    """
    compared = 0
    for title, result in one.items():
        for name, values in result.cv_results.items():
            if name.endswith("_time") or name.startswith("param"):
                continue
            compared += 1
            if not np.array_equal(values, other[title].cv_results[name], equal_nan=True):
                raise RuntimeError(f"{title}: {name} differs between one worker and two")
        if (result.best_index, result.holdout_score) != (other[title].best_index, other[title].holdout_score):
            raise RuntimeError(f"{title}: the winner differs between one worker and two")
    return compared


def by_score(results: Mapping[str, SearchResult]) -> list[str]:
    """Return the titles, best mean validation score first; among equals the one that was searched first."""
    return sorted(results, key=lambda title: -results[title].best_score)
