"""Finding the bytes of objects in a folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from skerry.store.objects import faults
from skerry.store.objects.folder import layout
from skerry.store.objects.keys import is_segment

_ATTEMPTS = 1000  # each failed one means that another writer has replaced the object in between


def open_blob(folder: str, name: str, *, url: str, key: str) -> tuple[int, str]:
    """Open the bytes of an object.

    Args:
        folder: Where its link is.
        name: The name of its link.
        url: The address of the store, for errors.
        key: The object's key, for errors.

    Returns:
        A descriptor of the bytes, which stays good when the object is overwritten or deleted, and their SHA-256.

    Raises:
        ObjectNotFoundError: There is no link.
        CorruptObjectError: There is something else than a link of the layout, or its bytes are gone.
        OSError: The operating system refuses.
    """
    before = None
    for _ in range(_ATTEMPTS):
        target = _read_link(folder, name, url=url, key=key)
        sha256 = layout.checksum_of(target)
        if sha256 is None:
            raise faults.corrupt(url, key, f"its link points at {target}, not at bytes of this store")
        try:
            return os.open(os.path.join(folder, target), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), sha256
        except FileNotFoundError:
            # Bytes are removed only after the link has been pointed elsewhere. Seen twice, it points at nothing.
            if target == before:
                raise faults.corrupt(url, key, "its link is there, and its bytes are gone") from None
            before = target
    raise faults.failed(url, key, f"it was overwritten {_ATTEMPTS} times while it was being opened; try again")


def walk(root: str, prefix: str) -> Iterator[str]:
    """Yield the keys that begin with a prefix, sorted, folder by folder.

    Raises:
        OSError: A folder cannot be read.
    """
    *whole, begun = prefix.split("/")
    folder, _ = layout.place_of(root, prefix)
    yield from _walk(folder, "".join(segment + "/" for segment in whole), begun)


def _walk(folder: str, base: str, begun: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(filter(None, map(_entry, entries)))
    except FileNotFoundError:
        return
    for entry in found:
        if entry.startswith(begun):
            if entry.endswith("/"):
                yield from _walk(os.path.join(folder, layout.folder_name(entry[:-1])), base + entry, "")
            else:
                yield base + entry


def _entry(entry: os.DirEntry[str]) -> str | None:
    """Return an object's segment, a folder's with a slash behind it (so that they sort as keys do), or None."""
    if entry.is_dir(follow_symlinks=False):
        segment = layout.folder_segment(entry.name)
        return segment + "/" if segment and is_segment(segment) else None
    return entry.name if is_segment(entry.name) else None


def _read_link(folder: str, name: str, *, url: str, key: str) -> str:
    try:
        return os.readlink(os.path.join(folder, name))
    except FileNotFoundError:
        raise faults.missing(url, key) from None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        reason = "it is a plain file without a checksum; a copy of the folder has to keep links (cp -a, rsync -a)"
        raise faults.corrupt(url, key, reason) from None
