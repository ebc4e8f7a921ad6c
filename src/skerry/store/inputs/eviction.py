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
    for _ in range(2):  # files that are in a folder can go only when the folder has gone
        for path in _least_recently_used(_units(store), before_s):
            if left_bytes <= limit_bytes:
                return left_bytes
            if _remove(store, path):
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


def _units(store: InputStore) -> list[Path]:
    """Return what is evicted as one: the views of a folder, or the content of a file."""
    views = [view for view in _entries(store.views) if _is_folder_view(view)]
    named = {view.name for view in views}
    return [*views, *(content for content in _entries(store.contents) if content.name not in named)]


def _is_folder_view(view: Path) -> bool:
    return any(path.is_dir() for path in _entries(view))


def _remove(store: InputStore, path: Path) -> bool:
    """Remove a unit unless it is in use; return whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.parent == store.contents and _is_shared(store, path):
            return False
        # The content first: whoever opens the input from now on finds nothing, and never a part of it.
        (store.contents / path.name).unlink(missing_ok=True)
        _remove_views(store.views / path.name)
    except OSError:  # in use, or gone meanwhile
        return False
    finally:
        os.close(descriptor)
    return True


def _remove_views(view: Path) -> None:
    gone = view.with_name(f".gone-{view.name}")
    with suppress(FileNotFoundError):
        view.rename(gone)
        remove_folder(gone)


def _is_shared(store: InputStore, content: Path) -> bool:
    """Return whether a folder has a content too."""
    own = 1 + sum(path.is_file() for path in _entries(store.views / content.name))
    return content.stat().st_nlink > own


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
