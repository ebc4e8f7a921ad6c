"""How far a search is: an event for programs, a bar for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search stands after a task.

    Args:
        done: Fits that have ended, those of a journal included.
        total: Fits of the whole search.
        failed: Fits among the done that gave no score.
        best_score: Highest mean score among the candidates that are complete; None before there is one.
        best_parameters: The parameters of that candidate.
    """

    done: int
    total: int
    failed: int
    best_score: float | None = None
    best_parameters: Mapping[str, Any] | None = None


Watch = Callable[[Progress], None]
"""What a search calls after every task, in the process of the search."""


def ignore(_progress: Progress) -> None:
    """Watch without doing anything."""


@contextmanager
def show_progress(title: str = "search") -> Iterator[Watch]:
    """Show a progress bar on stderr while the block runs; without a terminal nothing is shown.

    Args:
        title: What stands before the bar.

    Yields:
        The function to pass to a search as ``watch``.
    """
    if not sys.stderr.isatty():
        yield ignore
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        line = bar.add_task(title, total=None, best="")

        def watch(progress: Progress) -> None:
            best = "" if progress.best_score is None else f"best {progress.best_score:.4f}"
            bar.update(line, completed=progress.done, total=progress.total, best=best)

        yield watch
