"""Options that several of these commands have in common."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem


def _complete_folder(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    found = sorted(path.parent for path in Path("runs").glob("*/plan.json"))
    return [CompletionItem(str(folder)) for folder in found if str(folder).startswith(incomplete)]


folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), shell_complete=_complete_folder
)
