"""``skerry network``: what sees a network, and what acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "flows": "skerry.cli.network.flows:flows",
        "defend": "skerry.cli.network.defend:defend",
        "actions": "skerry.cli.network.actions:actions",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example=(
        "skerry network flows listen --port 2055\n"
        "skerry network defend --scope 192.0.2.0/24\n"
        "skerry network actions list"
    ),
)
def network() -> None:
    """See what flows through a network, and what is done to it."""
