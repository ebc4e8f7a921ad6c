"""What travels between a search and its workers: small messages of plain values, never pickles.

A task refers to a data folder by its content instead of carrying data, and names a fold by its number instead of its
rows, and a model by its description instead of its bytes. Every worker, wherever it is, can therefore compute the same
answer from the same message.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from skerry.payload import Folder

REFIT = -1
"""The number of the fold that trains on every row of the search and scores on the held-out rows."""


class Message(BaseModel):
    """A frozen message that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(Message):
    """One estimator of a pipeline: its name in it, the import path of its class, and the parameters that differ.

    ``parameters`` holds values as :func:`skerry.learn.search.grid.to_plain` writes them.
    """

    name: str
    path: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Model(Message):
    """A description of what is fitted: a scikit-learn pipeline, or a single estimator when ``pipeline`` is false."""

    steps: tuple[Step, ...] = Field(min_length=1)
    pipeline: bool = True
    family: str | None = None


class Folds(Message):
    """How the rows are split, in the words of scikit-learn's splitters.

    Args:
        splits: Folds per repeat, at least 2.
        repeats: How often the rows are shuffled and split again.
        stratified: Keep the share of each class in every fold.
        shuffle: Shuffle the rows before the only split; more than one repeat always shuffles.
        random_state: Seed of the shuffle; needed whenever rows are shuffled, or two workers would disagree.
    """

    splits: int = Field(default=5, ge=2)
    repeats: int = Field(default=1, ge=1)
    stratified: bool = True
    shuffle: bool = False
    random_state: int | None = None


class Holdout(Message):
    """The rows that the search never sees, as ``train_test_split`` chooses them.

    Args:
        test_ratio: Share of the rows that is held out, in (0, 1).
        random_state: Seed of the shuffle before the split.
    """

    test_ratio: float = Field(default=0.2, gt=0, lt=1)
    random_state: int


class Task(Message):
    """One fold and the candidates to fit on it.

    ``parameters[i]`` belongs to candidate number ``candidates[i]``; ``data`` is the folder, which is sent to each
    site once.
    """

    number: int
    data: Folder
    model: Model
    folds: Folds
    holdout: Holdout | None = None
    scoring: str | None = None
    fold: int
    candidates: list[int]
    parameters: list[dict[str, Any]]


class Outcome(Message):
    """What one candidate did on one fold: a score, or the reason why there is none."""

    candidate: int
    fold: int
    score: float | None
    fit_s: float
    score_s: float
    error: str | None = None


class TaskResult(Message):
    """The outcomes of one task, in the order of its candidates."""

    number: int
    outcomes: list[Outcome]
