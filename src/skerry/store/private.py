"""Folders that hold what other users of the machine must not change or see."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from skerry.errors import ConfigError

ANY_ACCESS: Final = 0o077
WRITING: Final = 0o022


def make_closed(folder: Path) -> None:
    """Make a folder closed to other users, and so the one around it, where it is not there.

    That one may be an engine's from then on, and an engine refuses a folder that is open to others.

    Raises:
        OSError: one of them cannot be made.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def require_closed(folder: Path, what: str, *, to: int = ANY_ACCESS) -> None:
    """Close an empty folder to other users, and refuse one that holds something and is open to them.

    Args:
        folder: Which.
        what: What it is, for messages.
        to: The access that others must not have where it holds something: `ANY_ACCESS` or `WRITING`.

    Raises:
        ConfigError: it is open to others, and not empty.
        OSError: it cannot be looked at, or closed.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & ANY_ACCESS == 0:
        return
    # Closing a folder that holds other things may lock their users out (think of --home /tmp): the owner decides.
    if not any(folder.iterdir()):
        folder.chmod(0o700)
    elif mode & to:
        raise ConfigError(
            f"{what} {folder} is open to other users and not empty; "
            f"run `chmod 700 {folder}` if nobody else needs it, or choose another"
        )
