"""``skerry testbed down``."""

from __future__ import annotations

from pathlib import Path

import click

from skerry.cli.console import Console
from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import attach, folder_option, require_root


@click.command(cls=Command, example="skerry testbed down\nskerry testbed down --all")
@folder_option
@click.option("--all", "everything", is_flag=True, help="Every testbed of this machine, whatever folder it is of.")
@json_option
@click.pass_obj
def down(console: Console, folder: Path, everything: bool) -> None:
    """Remove the testbed: its processes, namespaces, interfaces and control groups. Logs stay in the work folder.

    Also what a killed `up` has left.
    """
    require_root()
    removed = _remove_all() if everything else [_remove(folder)]
    if console.as_json:
        console.json({"removed": removed})
    else:
        stays = "" if everything else f"; its logs stay in {folder}"
        console.message(f"removed {', '.join(removed)}{stays}" if removed else "there is no testbed on this machine")


def _remove(folder: Path) -> str:
    testbed = attach(folder)
    testbed.down()
    return testbed.topology.name


def _remove_all() -> list[str]:
    from skerry.testbed.topology.cleanup import find_marks, remove_all

    marks = find_marks()
    for mark in marks:
        remove_all(mark)
    return marks
