"""``skerry logs``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, complete_function, connect, home_option, json_option, site_option

POLL_S = 0.3


@click.command(cls=Command, example="skerry logs train --tail 50\nskerry logs train -f")
@click.argument("name", shell_complete=complete_function)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes; end with Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=0), default=100, show_default=True, help="Lines from the end.")
@site_option
@home_option
@json_option
@click.pass_obj
def logs(console: Console, name: str, follow: bool, tail: int, site: str | None, home: Path) -> None:
    """Print what a function has printed."""
    engine = connect(home, site=site)
    text, offset = engine.logs(name, tail=tail)
    _write(console, text if tail else "", offset)
    while follow:
        time.sleep(POLL_S)
        text, offset = engine.logs(name, offset=offset)
        _write(console, text, offset)


def _write(console: Console, text: str, offset: int) -> None:
    if console.as_json:
        if text:
            console.json({"text": text, "offset": offset})
    elif text:
        sys.stdout.write(text)
        sys.stdout.flush()
