"""How far a run is, and how long it still takes."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Meter:
    """A bar on a terminal; where there is none, the same as plain lines.

    The time left is the mean time of a load so far, starts of servers among it, times the loads left: after one round,
    which has seen the slow servers and the fast ones alike, it is about right.

    Args:
        loads: How many there will be.
    """

    def __init__(self, loads: int) -> None:
        self._loads = loads
        self._done = 0
        self._began_s = time.monotonic()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
        self._progress = Progress(*columns, console=Console(stderr=True, highlight=False), transient=True)
        self._task = self._progress.add_task("", total=loads, left="")

    def __enter__(self) -> Meter:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._progress.stop()

    def advance(self, said: str, *, by: int = 1) -> None:
        """Say what happened, and count on.

        Args:
            said: What to print.
            by: Loads that are done with it, those that failed among them.
        """
        self._done += by
        left = describe_left(time.monotonic() - self._began_s, self._done, self._loads)
        self._progress.update(self._task, completed=self._done, left=left)
        line = said if self._progress.console.is_terminal else f"{said} ({self._done} of {self._loads}, {left})"
        # Not wrapped to the width of a pipe, and brackets are no markup.
        self._progress.console.print(line, markup=False, soft_wrap=True)


def describe_left(spent_s: float, done: int, loads: int) -> str:
    """Return how long the loads left take, should they go on as those that are done."""
    left_s = spent_s / done * (loads - done) if done else 0.0
    return f"about {left_s / 60:.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"
