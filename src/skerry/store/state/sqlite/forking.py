"""Files that are open when the process forks.

SQLite keeps books on its locks in the memory of the process. A child that inherits them believes that it holds locks
which only its parent has, and another process might then remove the log while the child reads it. So all files are
closed before a fork, and each side opens them again when it uses them.
"""

from __future__ import annotations

import os
import weakref
from functools import cache
from typing import Protocol


class Forked(Protocol):
    """What has to know of a fork."""

    def before_fork(self) -> None:
        """Get ready; nothing may happen until `after_fork`."""

    def after_fork(self) -> None:
        """Go on, in the parent and in the child."""


_files: weakref.WeakSet[Forked] = weakref.WeakSet()
_held: list[Forked] = []


def remember(file: Forked) -> None:
    """Tell a file of every fork from now on, as long as it lives."""
    _register()
    _files.add(file)


@cache
def _register() -> None:
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)


def _before() -> None:
    for file in list(_files):
        file.before_fork()
        _held.append(file)


def _after() -> None:
    while _held:
        _held.pop().after_fork()
