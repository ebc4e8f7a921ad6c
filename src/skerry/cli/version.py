"""``skerry version``."""

from __future__ import annotations

import platform

import click

import skerry
from skerry.cli.console import Console
from skerry.cli.options import Command, json_option


@click.command(cls=Command, example="skerry version --json")
@json_option
@click.pass_obj
def version(console: Console) -> None:
    """Print the version."""
    if console.as_json:
        console.json({"version": skerry.__version__, "python": platform.python_version()})
    else:
        console.data(f"skerry {skerry.__version__}")
