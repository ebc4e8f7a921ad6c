"""``skerry models``: what is published, what the aliases point at, and how that came about."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from skerry.cli.options import LazyGroup

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


@click.group(
    cls=LazyGroup,
    where=COMMANDS,
    example="skerry models push digits digits.onnx\nskerry models alias digits@3 production\n"
    "skerry models rollback digits@production",
)
def models() -> None:
    """Look after published models: their versions, and the aliases that point at them.

    A model is named NAME@VERSION or NAME@ALIAS; NAME alone means NAME@production.
    """
