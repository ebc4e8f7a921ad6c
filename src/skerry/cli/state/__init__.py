"""``skerry state``: what functions keep outside themselves."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "list": "skerry.cli.state.reading:list_keys",
        "get": "skerry.cli.state.reading:get",
        "watch": "skerry.cli.state.reading:watch",
        "put": "skerry.cli.state.writing:put",
        "delete": "skerry.cli.state.writing:delete",
    }
)


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry state list news/counts\nskerry state get news/counts total\nskerry state watch news/counts",
)
def state() -> None:
    """Look at what functions keep outside themselves, and change it.

    A state is named APP/NAME, as the app and `app.state("NAME")` call it.
    """
