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
    problems = []
    for context in _walk(click.Context(cli, info_name="skerry")):
        if f"## `{context.command_path}`" not in text:
            problems.append(f"`{context.command_path}` is not in {page.name}")
        if not context.command.help:
            problems.append(f"`{context.command_path}` has no help text")
    return problems


def _helps() -> Iterator[tuple[str, str]]:
    environment = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    with mock.patch.dict(os.environ, environment, clear=True):
        top = click.Context(cli, info_name="skerry", terminal_width=WIDTH, **cli.context_settings)
        for context in _walk(top):
            yield context.command_path, context.get_help().rstrip()


def _walk(context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None:
                yield from _walk(click.Context(command, parent=context, info_name=name))
