"""What leaves the store of inputs, and in which order."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from skerry.store.inputs.store import InputStore
from skerry.store.models.files import remove_folder

# A sender asks what is there, sends the rest and calls: what was asked for is spared meanwhile.
SPARED_S = 60.0
LEFTOVER_AGE_S = 24 * 3600.0


def evict(store: InputStore, limit_bytes: int, *, spared_s: float = SPARED_S) -> int:
    """Remove what was not used for the longest, until the rest fits; never what is in use.

    Args:
        store: The store.
        limit_bytes: Most bytes that may stay; more stay where they are in use.
        spared_s: What was used or asked for within so many seconds stays.

    Returns:
        The bytes that stay.
    """
    before_s = time.time() - spared_s
    _clear_leftovers(store)
    left_bytes = used_bytes(store)
    for path in _least_recently_used([*_entries(store.contents), *_entries(store.views)], before_s):
        if left_bytes <= limit_bytes:
            break
        if path.parent == store.contents and _own_links(store, path.name) < _links(path):
            continue  # a folder has it, which goes first
        if _remove(store, path):
            left_bytes = used_bytes(store)
    if left_bytes > limit_bytes:
        # The contents of folders that went just now.
        for path in _least_recently_used(_entries(store.contents), before_s):
            if left_bytes > limit_bytes and _links(path) == 1 and _remove(store, path):
                left_bytes = used_bytes(store)
    return left_bytes


def used_bytes(store: InputStore) -> int:
    """Return the bytes of all contents, arrived or on their way, and of what handlers keep beside their folders."""
    seen: set[int] = set()
    total_bytes = 0
    for top in (store.contents, store.arriving, store.views):
        for parent, _, names in os.walk(top):
            for name in names:
                with suppress(FileNotFoundError):
                    found = os.lstat(os.path.join(parent, name))
                    if found.st_ino not in seen:
                        seen.add(found.st_ino)
                        total_bytes += found.st_size
    return total_bytes


def _remove(store: InputStore, path: Path) -> bool:
    """Remove a content, or the views of a folder, unless it is in use; return whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.parent == store.contents:
            path.unlink()
            remove_folder(store.views / path.name)
        elif (store.contents / path.name).exists() and _is_file_view(path):
            return False  # the view of a file goes with its content
        else:
            gone = path.with_name(f".gone-{path.name}")
            path.rename(gone)
            remove_folder(gone)
    except OSError:  # in use, or gone meanwhile
        return False
    finally:
        os.close(descriptor)
    return True


def _is_file_view(view: Path) -> bool:
    return not any(path.is_dir() for path in _entries(view))


def _own_links(store: InputStore, sha256: str) -> int:
    return 1 + sum(path.is_file() for path in _entries(store.views / sha256))


def _links(path: Path) -> int:
    try:
        return path.stat().st_nlink
    except FileNotFoundError:
        return 0


def _clear_leftovers(store: InputStore) -> None:
    """Remove what killed evictions left, and beginnings that nobody has gone on with for a day."""
    for path in store.views.glob(".gone-*"):
        remove_folder(path)
    before_s = time.time() - LEFTOVER_AGE_S
    for path in _entries(store.arriving):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < before_s:
                path.unlink()


def _least_recently_used(paths: list[Path], before_s: float) -> list[Path]:
    used: list[tuple[float, Path]] = []
    for path in paths:
        with suppress(FileNotFoundError):
            if not path.name.startswith(".") and path.stat().st_mtime < before_s:
                used.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(used)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
