"""``skerry federate``: federated learning over sites, in rounds that survive."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import Group

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "run": "skerry.cli.federate.run:run",
        "status": "skerry.cli.federate.status:status",
        "resume": "skerry.cli.federate.resume:resume",
        "pause": "skerry.cli.federate.pause:pause",
        "cancel": "skerry.cli.federate.cancel:cancel",
    }
)


class FederateGroup(Group):
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
    cls=FederateGroup,
    example="skerry federate run digits.py --site edge-1 --site edge-2 --rounds 20\n"
    "skerry federate run digits.py --clients 3 --rounds 5 --set epochs=2\n"
    "skerry federate resume runs/digits-1",
)
def federate() -> None:
    """Train one model on several sites; the data stay where they are.

    A run lives in one folder: its plan, the replies of the round, and the model after each round. A run that was
    interrupted, however it was, goes on from its folder and ends with the same model.
    """
