"""``skerry testbed link``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import attach, folder_option
from skerry.cli.testbed.status import conditions_text
from skerry.errors import SpecError


@click.command(
    cls=Command,
    example="skerry testbed link base-station cloud rate_mbps=2\nskerry testbed link base-station cloud loss_ratio=1",
)
@folder_option
@click.argument("first")
@click.argument("second")
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--one-way", is_flag=True, help="Only from the first node to the second.")
@json_option
@click.pass_obj
def link(console: Console, folder: Path, first: str, second: str, changes: tuple[str, ...], one_way: bool) -> None:
    """Change the link between two nodes while it is up, or show it when no change is given.

    A loss_ratio of 1 cuts the link. What has a schedule follows it no longer.
    """
    testbed = attach(folder)
    chosen = testbed.link(first, second)
    values = read_changes(changes)
    if values and one_way:
        chosen.change("forward" if f"{first}--{second}" in testbed.links else "backward", values)
    elif values:
        chosen.change_both(values)
    report = chosen.report().to_dict()
    if console.as_json:
        console.json(report)
        return
    for name in ("forward", "backward"):
        console.data(f"{name + ':':<10}{conditions_text(report['conditions'][name])}")


def read_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Return what words like ``rate_mbps=2`` mean.

    Raises:
        SpecError: a word is not of that form.
    """
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise SpecError(f"{change!r}: write NAME=VALUE, like rate_mbps=2")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return values
