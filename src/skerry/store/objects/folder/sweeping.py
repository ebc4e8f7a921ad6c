"""Removing what killed writers have left in a folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat

from skerry.store.objects.folder import layout, writing


def sweep_folder(folder: str, *, before_s: float) -> int:
    """Remove from one folder what is no object and was last written before a moment.

    Args:
        folder: The folder; one that is gone has nothing to remove.
        before_s: The moment, in seconds since 1970.

    Returns:
        How many files and links were removed.
    """
    names = _names(folder)
    wanted = _wanted(folder, names)
    removed = 0
    for name in names:
        if layout.is_hidden(name) and name not in wanted:
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                found = os.lstat(path)
                if found.st_mtime < before_s:
                    removed += _remove_link(path) if stat.S_ISLNK(found.st_mode) else _remove_file(folder, name)
    return removed


def _remove_link(path: str) -> int:
    os.unlink(path)
    return 1


def _remove_file(folder: str, name: str) -> int:
    """Remove bytes that no object has, unless their writer lives."""
    path = os.path.join(folder, name)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        except OSError:
            pass  # no locks here: the age has to do
        # The writer may have pointed its link at the bytes and let the lock go since the folder was read. Nobody points
        # a link at them later, so what is without one now, under the lock, stays so.
        if name in _wanted(folder, _names(folder)):
            return 0
        os.unlink(path)
        return 1
    finally:
        os.close(descriptor)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _wanted(folder: str, names: list[str]) -> set[str]:
    """Return the names of the bytes that objects have."""
    targets = (writing.target_of(os.path.join(folder, name)) for name in names if not layout.is_hidden(name))
    return {target for target in targets if target is not None}
