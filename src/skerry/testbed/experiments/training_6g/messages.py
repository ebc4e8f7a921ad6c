"""What travels between the client and the functions of the experiment."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from skerry.learn.search import Outcome


class Request(BaseModel):
    """Articles to search on.

    Args:
        texts: The articles.
        labels: ``REAL`` or ``FAKE``, one per article.
        workers: Cores that the function may use.
        folds: The folds to evaluate; none for a whole search.
    """

    model_config = ConfigDict(extra="forbid")

    texts: list[str]
    labels: list[str]
    workers: int = 1
    folds: list[int] | None = None


class Found(BaseModel):
    """What a search has found.

    Args:
        parameters: Of the winner.
        score: Its mean accuracy over the folds.
        scores: The mean accuracy of every candidate, in the order of the grid.
    """

    parameters: dict[str, Any]
    score: float
    scores: list[float]


class Share(BaseModel):
    """One site's part of a search that several sites do together.

    Args:
        outcomes: One per candidate and fold.
    """

    outcomes: list[Outcome]
