"""``skerry network actions``: what is done to a network, and what a person has to say to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "skerry.cli.network.actions.looking:list_actions",
        "show": "skerry.cli.network.actions.looking:show",
        "audit": "skerry.cli.network.actions.looking:audit",
        "approve": "skerry.cli.network.actions.deciding:approve",
        "withdraw": "skerry.cli.network.actions.deciding:withdraw",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry network actions list\nskerry network actions approve a1b2c3d4e5f6",
)
def actions() -> None:
    """See what a loop does to the network, approve what waits for a person, and take actions back."""
