"""``skerry federate pause``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.lost import describe_loss
from skerry.cli.federate.options import folder_argument
from skerry.cli.options import Command, json_option


@click.command(cls=Command, example="skerry federate pause runs/digits-1")
@folder_argument
@json_option
@click.pass_obj
def pause(console: Console, folder: Path) -> None:
    """Have a run end after its present round; resume goes on with it."""
    from skerry.learn.federated.record.record import write_request
    from skerry.learn.federated.record.run_view import read_run

    view = read_run(folder)
    if view.state == "running":
        write_request(folder, "pause")
        view = read_run(folder)
    if console.as_json:
        lost = view.to_json()["unreachable"]
        console.json({"folder": str(folder), "state": view.state, "requested": view.requested, "unreachable": lost})
    elif view.state == "running":
        console.message(f"{folder} will pause after round {len(view.rounds) + 1}")
        for event in view.lost:
            console.message(f"that round has not ended: {describe_loss(event, view.plan)}")
        if view.lost:
            console.message(f"Ctrl-C where it runs ends it at once; go on with: skerry federate resume {folder}")
    else:
        console.message(f"{folder} does not run: it is {view.state}")
