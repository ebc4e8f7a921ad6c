"""``skerry testbed``: a network of sites on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

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


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry testbed up 6g-edge\nskerry testbed run base-station skerry sites check\nskerry testbed down",
)
def testbed() -> None:
    """Bring a network of sites up on this machine, change its links, and take it down.

    Each node is a network namespace, each site an engine of its own; needs root.
    """
