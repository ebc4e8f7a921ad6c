"""``skerry federate resume``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.federate.deploying import ENGINE_PORT
from skerry.cli.federate.options import folder_argument
from skerry.cli.federate.output import show_run
from skerry.cli.federate.watching import watch_run
from skerry.cli.options import Command, connect, home_option, json_option
from skerry.platforms.home import home_words


@click.command(
    cls=Command, example="skerry federate resume runs/digits-1\nskerry federate resume runs/digits-1 --rounds 20"
)
@folder_argument
@click.option("--rounds", type=click.IntRange(1), help="How many in all, for more than it was begun with.")
@home_option
@json_option
@click.pass_obj
def resume(console: Console, folder: Path, rounds: int | None, home: Path) -> None:
    """Go on with a run that was paused, or that ended before its time for whatever reason.

    What trains is what is deployed: after a change of the client's file, deploy it first. A finished run goes on with
    --rounds; its other options stay as they are.
    """
    from skerry.cli.deploy import start_if_needed
    from skerry.learn.federated.coordinator.federation import Federation
    from skerry.learn.federated.record.record import extend_plan
    from skerry.learn.federated.record.run_view import read_run

    view = read_run(folder)
    plan = view.plan if rounds is None else extend_plan(folder, rounds)
    if view.state == "finished" and len(view.rounds) >= plan.rounds:
        show_run(console, view, home)
        more = f"skerry federate resume {folder} --rounds {2 * plan.rounds}{home_words(home)}"
        console.message(f"it has no rounds left; for more: {more}")
        return
    if any(member.site is None for member in plan.members):
        start_if_needed(console, home, "127.0.0.1", ENGINE_PORT)
    watch_run(console, Federation(folder, places={None: connect(home)}), folder, plan, home)
