"""``skerry federate cancel``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.options import folder_argument
from skerry.cli.options import Command, json_option


@click.command(cls=Command, example="skerry federate cancel runs/digits-1")
@folder_argument
@json_option
@click.pass_obj
def cancel(console: Console, folder: Path) -> None:
    """End a run for good, in the middle of its round; the models of the rounds before stay."""
    from skerry.learn.federated.record.record import write_request
    from skerry.learn.federated.record.run_view import read_run

    view = read_run(folder)
    if view.state not in ("finished", "cancelled"):
        write_request(folder, "cancel")
        view = read_run(folder)
    if console.as_json:
        console.json({"folder": str(folder), "state": view.state, "requested": view.requested})
    elif view.state == "running":
        console.message(f"{folder} is about to end, after {len(view.rounds)} rounds")
    else:
        console.message(f"{folder} is {view.state}, after {len(view.rounds)} rounds")
