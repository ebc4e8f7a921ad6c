"""What leaves the cache, and in which order."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skerry.store.models.files import locked_now, remove_folder, same_file
from skerry.store.models.names import MANIFEST_FILE

PARTIAL = ".partial-"
GONE = ".gone-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """What an eviction did.

    Args:
        versions: The folders that it removed, by name.
        removed_bytes: The length of the contents that it removed.
        kept_bytes: The length of those that stay.
    """

    versions: tuple[str, ...] = ()
    removed_bytes: int = 0
    kept_bytes: int = 0


def evict(folder: Path, limit_bytes: int, *, keep: Path | None) -> Eviction:
    """Remove the least recently used versions of a cache until its contents fit; see `ModelCache.evict`."""
    removed_bytes = _clear_leftovers(folder) + _remove_unlinked(folder)
    versions: list[str] = []
    left_bytes = _contents_bytes(folder)
    for path in _least_recently_used(folder / "versions"):
        if left_bytes <= limit_bytes:
            break
        copied_bytes = _copied_bytes(path)
        if path != keep and _remove_version(folder, path):
            versions.append(path.name)
            freed_bytes = copied_bytes + _remove_unlinked(folder)
            removed_bytes += freed_bytes
            left_bytes -= freed_bytes
    return Eviction(versions=tuple(versions), removed_bytes=removed_bytes, kept_bytes=left_bytes)


def _least_recently_used(versions: Path) -> list[Path]:
    used: list[tuple[int, Path]] = []
    for path in _entries(versions):
        with suppress(FileNotFoundError):
            if not path.name.startswith("."):
                used.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(used)]


def _remove_version(folder: Path, path: Path) -> bool:
    """Remove a version unless it is in use or being fetched; return whether it is gone."""
    with locked_now(folder / "locks" / path.name, remove=True) as ours:
        if not ours:
            return False
        with _unused(path) as unused:
            if not unused:
                return False
            # Renamed first: nobody sees half of it, and what a killed eviction leaves is found again by its name.
            gone = path.with_name(f"{GONE}{path.name}")
            remove_folder(gone)
            path.rename(gone)
            remove_folder(gone)
            return True


@contextmanager
def _unused(path: Path) -> Iterator[bool]:
    """Lock a version's folder if no process holds it; yields whether it is locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unused = same_file(descriptor, path)
    except BlockingIOError:
        unused = False
    try:
        yield unused
    finally:
        os.close(descriptor)


def _remove_unlinked(folder: Path) -> int:
    """Remove the contents that no version links to; return their length."""
    removed_bytes = 0
    for blob in _entries(folder / "blobs"):
        with suppress(FileNotFoundError):
            if blob.name.startswith(".") or blob.stat().st_nlink > 1:
                continue
            with locked_now(folder / "locks" / blob.name, remove=True) as ours:
                status = blob.stat()
                if ours and status.st_nlink == 1:
                    blob.unlink()
                    removed_bytes += status.st_size
    return removed_bytes


def _clear_leftovers(folder: Path) -> int:
    """Remove what killed fetches and evictions left; return the length of the contents among it."""
    removed_bytes = 0
    for path in [*_entries(folder / "versions"), *_entries(folder / "blobs")]:
        if not path.name.startswith((PARTIAL, GONE)):
            continue
        name = path.name.removeprefix(PARTIAL).removeprefix(GONE)
        with locked_now(folder / "locks" / name) as ours:
            if not ours:
                continue
            if path.is_dir():
                remove_folder(path)
            else:
                with suppress(FileNotFoundError):
                    removed_bytes += path.stat().st_size
                    path.unlink()
    return removed_bytes


def _contents_bytes(folder: Path) -> int:
    total_bytes = sum(map(_copied_bytes, _entries(folder / "versions")))
    for blob in _entries(folder / "blobs"):
        with suppress(FileNotFoundError):
            total_bytes += blob.stat().st_size
    return total_bytes


def _copied_bytes(version: Path) -> int:
    """Return the length of the files that are a version's own: copies, where there are no hard links."""
    copied_bytes = 0
    for path in version.rglob("*"):
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and path != version / MANIFEST_FILE:
                copied_bytes += status.st_size
    return copied_bytes


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
