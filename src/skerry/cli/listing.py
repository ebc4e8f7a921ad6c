"""``skerry list``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, connect, home_option, json_option, site_option


@click.command("list", cls=Command, example="skerry list\nskerry list --json")
@site_option
@home_option
@json_option
@click.pass_obj
def list_functions(console: Console, site: str | None, home: Path) -> None:
    """List the deployed functions."""
    functions = connect(home, site=site).functions()
    if console.as_json:
        console.json(functions)
        return
    if not functions:
        console.message("no functions; deploy some with: skerry deploy FILE")
        return
    rows = [
        [
            str(function["name"]),
            str(function["app"]),
            str(function["revision"]),
            str(sum(function["workers"].values())),
            str(function["queued"]),
            str(function["in_flight"]),
            str(function["address"]),
        ]
        for function in functions
    ]
    console.table(["NAME", "APP", "REVISION", "WORKERS", "QUEUED", "IN FLIGHT", "ADDRESS"], rows)
