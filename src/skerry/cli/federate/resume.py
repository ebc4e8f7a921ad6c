"""``skerry federate resume``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.deploying import ENGINE_PORT
from skerry.cli.federate.options import folder_argument
from skerry.cli.federate.watching import watch_run
from skerry.cli.options import Command, connect, home_option, json_option


@click.command(cls=Command, example="skerry federate resume runs/digits-1")
@folder_argument
@home_option
@json_option
@click.pass_obj
def resume(console: Console, folder: Path, home: Path) -> None:
    """Go on with a run that was paused, or that ended before its time for whatever reason."""
    from skerry.cli.deploy import start_if_needed
    from skerry.learn.federated.coordinator.federation import Federation
    from skerry.learn.federated.record.record import read_plan

    plan = read_plan(folder)
    if any(member.site is None for member in plan.members):
        start_if_needed(console, home, "127.0.0.1", ENGINE_PORT)
    watch_run(console, Federation(folder, places={None: connect(home)}), folder, plan)
