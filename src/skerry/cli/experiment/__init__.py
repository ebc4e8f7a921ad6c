"""``skerry experiment``: run declared experiments, report them, compare runs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import Group

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "skerry.cli.experiment.listing:list_experiments",
        "run": "skerry.cli.experiment.run:run",
        "report": "skerry.cli.experiment.report:report",
        "compare": "skerry.cli.experiment.compare:compare",
    }
)


class ExperimentGroup(Group):
    """A group that imports a command only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(
    cls=ExperimentGroup,
    example="skerry experiment list\nskerry experiment run 6g-training --quick\n"
    "skerry experiment report experiments/6g-training",
)
def experiment() -> None:
    """Run experiments that anybody can repeat.

    A run lives in one folder: a manifest, one line per trial, and the report made of them. A run that was interrupted
    goes on where it was when it is started again.
    """
