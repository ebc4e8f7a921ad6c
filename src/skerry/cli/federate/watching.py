"""Running a federation in the foreground while a person watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skerry.cli.console import Console
from skerry.cli.federate.output import show_run
from skerry.cli.termination import ended_in_order
from skerry.platforms.home import home_words

if TYPE_CHECKING:
    from skerry.learn.federated.coordinator.federation import Federation
    from skerry.learn.federated.plan import Plan
    from skerry.learn.federated.record.events import Event


def watch_run(console: Console, federation: Federation, folder: Path, plan: Plan, home: Path) -> None:
    """Run a federation until its end, show what happens, and then what has become of it.

    Args:
        console: Where to say it.
        federation: The run.
        folder: Of the run.
        plan: Of the run.
        home: Folder of the engine here.
    """
    from skerry.learn.federated.record.run_view import read_run

    try:
        with _show(console, plan, folder) as watch, ended_in_order():
            for event in federation.events(watch):
                watch(event)
    except KeyboardInterrupt:
        console.message(f"interrupted; go on with: skerry federate resume {folder}{home_words(home)}")
        raise
    show_run(console, read_run(folder), home)


@contextmanager
def _show(console: Console, plan: Plan, folder: Path) -> Iterator[Callable[[Event], None]]:
    """Draw on a terminal; write lines elsewhere."""
    from skerry.cli.federate.view import View, describe

    if not sys.stderr.isatty():

        def write(event: Event) -> None:
            line = describe(event, plan)
            if line is not None:
                console.message(line)

        yield write
        return
    from rich.console import Console as Terminal
    from rich.live import Live

    from skerry.learn.federated.record.record import PLAN
    from skerry.learn.federated.record.run_view import read_run

    view = View(plan)
    if (folder / PLAN).exists():
        view.recall(read_run(folder).rounds)
    with Live(get_renderable=view.draw, console=Terminal(stderr=True), refresh_per_second=4, transient=True):
        yield view.add
