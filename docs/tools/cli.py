"""The page of the command line: every command's own help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest import mock

import click

from skerry.cli.main import cli
from tools.places import GENERATED, REFERENCE

WIDTH = 100
# Variables that would show up in the help as defaults.
HIDDEN = ("SKERRY_HOME", "COLUMNS", "TERMINAL_WIDTH")


def render() -> str:
    """Return the page."""
    parts = [f"## `{path}`\n\n```text\n{text}\n```\n" for path, text in _helps()]
    return f"""{GENERATED}
# Command line

Data go to standard output, messages to standard error. With `--json`, data and errors are JSON.

| Exit code | Meaning |
| --- | --- |
| 0 | done |
| 1 | something failed |
| 2 | wrong use, wrong input or wrong configuration: the caller has to change something |
| 130 | interrupted by Ctrl-C |

{chr(10).join(parts)}"""


def check() -> list[str]:
    """Return the commands that the page lacks, or that have no help."""
    page = REFERENCE / "cli.md"
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    problems = [f"`{path}` is not in {page.name}" for path, _ in _helps() if f"## `{path}`" not in text]
    return problems + [f"`{path}` has no help text" for path, command in _walk(cli, "skerry") if not command.help]


def _helps() -> Iterator[tuple[str, str]]:
    environment = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    with mock.patch.dict(os.environ, environment, clear=True):
        for path, command in _walk(cli, "skerry"):
            context = click.Context(command, info_name=path, terminal_width=WIDTH, **command.context_settings)
            yield path, command.get_help(context).rstrip()


def _walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _walk(found, f"{path} {name}")
