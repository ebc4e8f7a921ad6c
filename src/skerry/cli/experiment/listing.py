"""``skerry experiment list``."""

from __future__ import annotations

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option


@click.command("list", cls=Command, example="skerry experiment list")
@json_option
@click.pass_obj
def list_experiments(console: Console) -> None:
    """Show the experiments that come with Skerry."""
    from skerry.testbed.experiments import EXPERIMENTS, load_experiment

    found = [load_experiment(name)[0] for name in EXPERIMENTS]
    if console.as_json:
        console.json(
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "topology": one.topology,
                    "repeats": one.repeats,
                    "arms": {arm.name: arm.title for arm in one.arms},
                    "options": {name: option.default for name, option in one.options.items()},
                }
                for one in found
            ]
        )
        return
    rows = [[one.name, one.topology or "-", str(one.repeats), str(len(one.arms)), one.title] for one in found]
    console.table(["NAME", "TOPOLOGY", "REPEATS", "ARMS", "WHAT IT IS"], rows)
