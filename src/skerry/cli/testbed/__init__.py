"""``skerry testbed``: a network of sites on this machine."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import Group

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "skerry.cli.testbed.listing:list_topologies",
        "up": "skerry.cli.testbed.up:up",
        "status": "skerry.cli.testbed.status:status",
        "run": "skerry.cli.testbed.run:run",
        "link": "skerry.cli.testbed.link:link",
        "down": "skerry.cli.testbed.down:down",
        "convert": "skerry.cli.testbed.convert:convert",
    }
)


class TestbedGroup(Group):
    """A group that imports a command only when it is asked for."""

    __test__ = False

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
    cls=TestbedGroup,
    example="skerry testbed up 6g-edge\nskerry testbed run base-station skerry sites check\nskerry testbed down",
)
def testbed() -> None:
    """Bring a network of sites up on this machine, change its links, and take it down.

    Each node is a network namespace, each site an engine of its own; needs root.
    """
