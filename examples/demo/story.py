"""The demo's story in the terminal: sections, bars and a table for people, plain lines where there is no terminal."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from outcome import Outcome
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table
from training import by_score

import skerry.learn.search
from skerry.store.models import Manifest


class Bar:
    """One bar that several counters fill together."""

    def __init__(self, progress: Progress, task: TaskID, total: int) -> None:
        self._progress = progress
        self._task = task
        self._total = total
        self._done: dict[str, int] = {}

    def advance(self) -> None:
        """Count one step."""
        self._progress.advance(self._task)

    def watch(self, title: str, progress: skerry.learn.search.Progress) -> None:
        """Take the progress of one of the searches."""
        self._done[title] = progress.done
        self._progress.update(self._task, completed=min(sum(self._done.values()), self._total))


class Story:
    """Tells what happens.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._section = 0

    def section(self, title: str) -> None:
        """Begin the next part."""
        self._section += 1
        self.console.print()
        self.console.print(Rule(f"[bold]{self._section}. {title}", align="left", style="cyan"))

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Bar]:
        """Show a bar while the block runs, and leave nothing of it behind."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        shown = self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=not shown) as progress:
            yield Bar(progress, progress.add_task(title, total=total), total)

    def scores(self, outcome: Outcome) -> None:
        """Print the best candidate of each kind of model."""
        table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
        table.add_column("model", no_wrap=True)
        table.add_column("tried", justify="right")
        table.add_column("validation", justify="right")
        table.add_column("test", justify="right")
        table.add_column("best parameters", overflow="fold")
        tried = {each.title: each.candidates for each in outcome.competing}
        for place, title in enumerate(by_score(outcome.results)):
            result = outcome.results[title]
            spread = result.cv_results["std_test_score"][result.best_index]
            table.add_row(
                title,
                str(tried[title]),
                f"{result.best_score:.4f} ± {spread:.4f}",
                "" if result.holdout_score is None else f"{result.holdout_score:.4f}",
                describe_parameters(result.best_parameters),
                style="bold" if place == 0 else None,
            )
        self.console.print(table)

    def response_times(self, outcome: Outcome) -> None:
        """Print how long answers took."""
        table = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
        table.add_column("response times")
        for name in ("requests", "median", "worst"):
            table.add_column(name, justify="right")
        measured = outcome.measured
        for title, values in (
            ("warm worker", measured.took_ms("warm")),
            ("cold, from zero", measured.took_ms("cold")),
            ("burst, from zero", measured.took_ms("burst")),
            ("a new Python process", measured.fresh_ms),
        ):
            table.add_row(title, str(len(values)), milliseconds(statistics.median(values)), milliseconds(max(values)))
        self.console.print(table)


def describe_parameters(parameters: dict[str, object]) -> str:
    """Return a candidate's parameters for people, without the step that they belong to."""
    return ", ".join(f"{name.rpartition('__')[2]}={_plain(value)}" for name, value in parameters.items())


def describe_export(model: Manifest) -> str:
    """Return what the comparison of the exported model with its original found, for people."""
    found = model.about["export"]
    return (
        f"{found['original'].rpartition('.')[2]} of {found['from']}, exported to ONNX and compared with the original "
        f"on {found['compared_rows']} held-out rows: every label is equal, and numbers differ by at most "
        f"{found['worst_difference']:.1e}"
    )


def milliseconds(value: float) -> str:
    """Return a time in milliseconds with about three digits."""
    return f"{value:.2f} ms" if value < 10 else f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"


def _plain(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
