"""``skerry testbed run``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from skerry.cli.options import Command, json_option
from skerry.cli.testbed.options import attach, folder_option


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    example="skerry testbed run base-station ping -c 3 10.77.0.2\nskerry testbed run base-station skerry sites check",
)
@folder_option
@json_option
@click.argument("node")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(folder: Path, node: str, command: tuple[str, ...]) -> None:
    """Run COMMAND inside NODE, with the sites of the testbed as those of its skerry.toml.

    It runs in the testbed's folder, with this command's own output and exit code.
    """
    testbed = attach(folder)
    words = testbed.command(node, command)
    os.chdir(testbed.folder)
    # It takes this process' place, so that signals and the exit code are its own.
    os.execvp(words[0], words)  # noqa: S606  # the command is the user's own
