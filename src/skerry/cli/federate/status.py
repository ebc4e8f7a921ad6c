"""``skerry federate status``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.output import show_run
from skerry.cli.options import Command, json_option
from skerry.cli.units import moment
from skerry.errors import ConfigError


@click.command(cls=Command, example="skerry federate status\nskerry federate status runs/digits-1 --json")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@json_option
@click.pass_obj
def status(console: Console, folder: Path | None) -> None:
    """Show how a run stands; without FOLDER, all runs in the folder runs."""
    from skerry.learn.federated.record.run_view import list_runs, read_run

    if folder is not None:
        show_run(console, read_run(folder))
        return
    views = []
    for found in list_runs(Path("runs")):
        try:
            views.append(read_run(found))
        except ConfigError as error:  # one that cannot be read hides no other
            console.message(f"warning: {error.message}")
    if console.as_json:
        console.json([view.to_json() for view in views])
        return
    rows = []
    for view in views:
        best = "-" if view.best is None else f"{view.best[1]:.4f}"
        done = f"{len(view.rounds)}/{view.plan.rounds}"
        rows.append([str(view.folder), view.state, done, view.plan.best_metric, best, moment(view.started_at)])
    console.table(["FOLDER", "STATE", "ROUNDS", "METRIC", "BEST", "STARTED"], rows)
