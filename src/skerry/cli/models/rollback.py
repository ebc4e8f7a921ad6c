"""``skerry models rollback``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import nudge_engine, open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.errors import ConfigError
from skerry.spec import ModelReference


@click.command(cls=Command, example="skerry models rollback digits@production --from 7 --reason 'wrong threes'")
@reference_argument
@click.option(
    "--from",
    "expected",
    type=click.IntRange(min=1),
    metavar="VERSION",
    help="Do it only while the alias points at this version: nobody else was faster.",
)
@click.option("--reason", default="", help="Why, for the history.")
@store_options
@json_option
@click.pass_obj
def rollback(
    console: Console, reference: ModelReference, expected: int | None, reason: str, home: Path, store: str | None
) -> None:
    """Point an alias at what it pointed at before its present version; once more goes further back."""
    if reference.alias is None:
        raise ConfigError(
            f"{reference} is a version; name the alias to roll back, such as {reference.name}@production",
            hint=f"to choose the version yourself: skerry models alias {reference} production",
        )
    entry = open_repository(home, store).rollback(reference.name, reference.alias, reason=reason, expected=expected)
    nudge_engine(home)
    if console.as_json:
        console.json(asdict(entry))
    else:
        console.message(f"{reference}: {entry.previous or 'nothing'} -> {entry.version}")
