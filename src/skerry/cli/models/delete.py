"""``skerry models delete``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.models.options import open_repository, reference_argument, store_options
from skerry.cli.options import Command, json_option
from skerry.errors import ConfigError
from skerry.spec import ModelReference


@click.command(cls=Command, example="skerry models delete digits@2 --reason 'trained on wrong data'")
@reference_argument
@click.option("--reason", default="", help="Why, for the history.")
@store_options
@json_option
@click.pass_obj
def delete(console: Console, reference: ModelReference, reason: str, home: Path, store: str | None) -> None:
    """Delete a version for good; its content goes with `skerry models gc`, its number is never used again."""
    if reference.version is None:
        raise ConfigError(f"{reference} is an alias; name the version to delete, such as {reference.name}@1")
    entry = open_repository(home, store).delete(reference.name, reference.version, reason=reason)
    if console.as_json:
        console.json(asdict(entry))
    else:
        console.message(f"deleted {reference}; `skerry models gc` frees its space")
