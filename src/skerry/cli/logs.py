"""``skerry logs``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from skerry.cli.console import Console
from skerry.cli.destination import Destination, destination_options
from skerry.cli.options import Command, complete_function, json_option

if TYPE_CHECKING:
    from skerry.platforms.kubernetes.pods.logs import LogLine

POLL_S = 0.3


@click.command(cls=Command, example="skerry logs train --tail 50\nskerry logs train -f")
@click.argument("name", shell_complete=complete_function)
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes; end with Ctrl-C.")
@click.option("--tail", type=click.IntRange(min=0), default=100, show_default=True, help="Lines from the end.")
@destination_options
@json_option
@click.pass_obj
def logs(console: Console, name: str, follow: bool, tail: int, destination: Destination) -> None:
    """Print what a function has printed; on a cluster, what all its replicas have."""
    platform = destination.cluster_platform()
    if platform is not None:
        _write_lines(console, platform.log_lines(name, tail=tail, follow=follow))
        return
    engine = destination.engine()
    text, offset = engine.logs(name, tail=tail)
    _write(console, text if tail else "", offset)
    while follow:
        time.sleep(POLL_S)
        text, offset = engine.logs(name, offset=offset)
        _write(console, text, offset)


def _write_lines(console: Console, lines: Iterable[LogLine]) -> None:
    """Write lines of several replicas, each with its pod."""
    empty = True
    for line in lines:
        empty = False
        if console.as_json:
            console.json({"pod": line.pod, "text": line.text})
        else:
            console.printed(f"{line.text}\n", before=f"{line.pod}: ")
    if empty:
        console.message("no lines: nothing was printed, or no replica is there; what has ended took its log with it")


def _write(console: Console, text: str, offset: int) -> None:
    if console.as_json:
        if text:
            console.json({"text": text, "offset": offset})
    elif text:
        console.printed(text)
