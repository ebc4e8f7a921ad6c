"""``skerry models``: what is published, what the aliases point at, and how that came about."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import Group

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "push": "skerry.cli.models.push:push",
        "list": "skerry.cli.models.listing:list_models",
        "describe": "skerry.cli.models.describe:describe",
        "optimise": "skerry.cli.models.optimise:optimise",
        "choose": "skerry.cli.models.choose:choose",
        "alias": "skerry.cli.models.alias:alias",
        "rollback": "skerry.cli.models.rollback:rollback",
        "serve": "skerry.cli.models.serve:serve",
        "traffic": "skerry.cli.models.traffic:traffic",
        "promote": "skerry.cli.models.traffic:promote",
        "pull": "skerry.cli.models.pull:pull",
        "delete": "skerry.cli.models.delete:delete",
        "gc": "skerry.cli.models.gc:gc",
    }
)


class ModelGroup(Group):
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
    cls=ModelGroup,
    example="skerry models push digits digits.onnx\nskerry models alias digits@3 production\n"
    "skerry models rollback digits@production",
)
def models() -> None:
    """Look after published models: their versions, and the aliases that point at them.

    A model is named NAME@VERSION or NAME@ALIAS; NAME alone means NAME@production.
    """
