"""What is in force when a defence begins, and what it leaves when it ends."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from skerry.cli.console import Console

if TYPE_CHECKING:
    from skerry.network.actions import Entry


def tell_before(console: Console, folder: Path) -> None:
    """Say which rules an earlier defence has left in force."""
    for entry in _in_force(folder):
        console.message(f"in force from before: {_words(entry, folder)}")


def tell_after(console: Console, folder: Path) -> None:
    """Say which rules stay."""
    for entry in _in_force(folder):
        console.message(_words(entry, folder))


def take_back(console: Console, folder: Path) -> None:
    """Withdraw the rules that are in force; one that cannot be taken back keeps none of the others."""
    from skerry.errors import PlatformError
    from skerry.network.actions.person import withdraw

    failures = []
    for entry in _in_force(folder):
        try:
            withdraw(folder, entry.action.id, "the defence has ended")
        except PlatformError as error:
            failures.append(error)
        else:
            console.message(f"rule {entry.action.id} is withdrawn")
    if failures:
        raise failures[0]


def _in_force(folder: Path) -> list[Entry]:
    from skerry.network.actions.person import open_journal

    with closing(open_journal(folder)) as journal:
        return journal.in_force()


def _words(entry: Entry, folder: Path) -> str:
    from skerry.cli.network.actions.options import default_folder
    from skerry.network.actions import action_words
    from skerry.network.actions.withdrawal import monotonic_s

    ends_s = time.time() + max(0.0, entry.due_s - monotonic_s())
    until = time.strftime("%H:%M:%S", time.localtime(ends_s))
    where = "" if folder == default_folder() else f" --folder {folder}"
    return (
        f"rule {entry.action.id} ({action_words(entry.action)}) stays until {until}; "
        f"take it back with: skerry network actions withdraw {entry.action.id}{where}"
    )
