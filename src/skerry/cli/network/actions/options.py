"""What the commands of ``skerry network actions`` have in common."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from skerry.platforms.home import default_home
from skerry.spec.characters import has_control

F = TypeVar("F", bound=Callable[..., Any])


def default_folder() -> Path:
    """Return the folder that is meant when none is named."""
    return default_home() / "network"


folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=default_folder,
    show_default="network in $SKERRY_HOME or ~/.skerry",
    help="Folder of the process that acts, with its journal.",
)


def default_person() -> str:
    """Return who types: the person behind `sudo`, where there is one."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _one_line(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    if has_control(name):
        raise click.BadParameter("a name is one line, without control characters")
    return name


person_option = click.option(
    "--as",
    "who",
    metavar="NAME",
    default=default_person,
    show_default="your user name",
    callback=_one_line,
    help="Your name, for the audit.",
)


def id_argument(*states: str, many: bool = False) -> Callable[[F], F]:
    """Return the argument for an action's id, which the shell completes from those that are in some states.

    Args:
        states: Which; all where none is named.
        many: Whether several may be given.
    """

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        from contextlib import closing

        from skerry.errors import SkerryError
        from skerry.network.actions import State
        from skerry.network.actions.person import open_journal

        try:
            with closing(open_journal(Path(ctx.params.get("folder") or default_folder()))) as journal:
                found = journal.summaries(*(State(state) for state in states))
        except SkerryError:
            return []
        return [summary.action.id for summary in found if summary.action.id.startswith(incomplete)]

    if many:
        return click.argument("ids", metavar="ID...", nargs=-1, shell_complete=complete)
    return click.argument("id_", metavar="ID", shell_complete=complete)
