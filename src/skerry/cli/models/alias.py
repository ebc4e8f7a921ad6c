"""``skerry models alias``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import nudge_engine, open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.spec import ModelReference


@click.command(
    cls=Command,
    example="skerry models alias digits@3 production\nskerry models alias digits@candidate production\n"
    "skerry models alias digits candidate --remove",
)
@reference_argument
@click.argument("alias")
@click.option("--remove", is_flag=True, help="Let the alias point nowhere.")
@click.option("--reason", default="", help="Why, for the history.")
@store_options
@json_option
@click.pass_obj
def alias(
    console: Console, reference: ModelReference, alias: str, remove: bool, reason: str, home: Path, store: str | None
) -> None:
    """Point an alias at a version: that of a number, or that at which another alias points now."""
    repository = open_repository(home, store)
    if remove:
        entry = repository.remove_alias(reference.name, alias, reason=reason)
    else:
        version = repository.resolve(reference).version
        entry = repository.set_alias(reference.name, alias, version, reason=reason)
    nudge_engine(home)
    if console.as_json:
        console.json(asdict(entry))
    else:
        console.message(f"{reference.name}@{alias}: {entry.previous or 'nothing'} -> {entry.version or 'nothing'}")
