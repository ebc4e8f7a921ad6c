"""``skerry doctor``: what this machine has, and what is missing."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.checks import Check, examine
from skerry.cli.console import Console
from skerry.cli.options import Command, home_option, json_option


@click.command(cls=Command, example="skerry doctor\nskerry doctor --json")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address whose port is looked at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to look at.")
@home_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, host: str, port: int, home: Path) -> None:
    """Look for what is missing on this machine.

    Exit code 1 means that something fails; warnings name what will not work.
    """
    console = ctx.ensure_object(Console)
    checks = examine(home, host, port)
    if console.as_json:
        console.json([check.to_json() for check in checks])
    else:
        for check in checks:
            console.data(_line(check))
    if any(check.state == "fail" for check in checks):
        ctx.exit(1)


def _line(check: Check) -> str:
    advice = f"; {check.advice}" if check.advice else ""
    return f"{check.state:<5} {check.name}: {check.finding}{advice}"
