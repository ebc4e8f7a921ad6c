"""What goes wrong outside, told in errors of Skerry: the one place where foreign errors are read."""

from __future__ import annotations

import errno
import os
import shutil

from skerry.errors import CorruptObjectError, ObjectNotFoundError, SkerryError, StorageError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file may not grow so far",
}


def missing(url: str, key: str) -> ObjectNotFoundError:
    """Return the error about an object that is not there."""
    return ObjectNotFoundError(f"there is no object {key} in {url}", key=key)


def corrupt(url: str, key: str, reason: str) -> CorruptObjectError:
    """Return the error about an object that is not what was put there."""
    return CorruptObjectError(
        f"the object {key} in {url} is not what was put there: {reason}; put it again, or restore it from a copy",
        key=key,
    )


def mismatch(url: str, key: str, expected: str, found: str) -> CorruptObjectError:
    """Return the error about bytes with another checksum than they had when they were put."""
    return corrupt(url, key, f"its SHA-256 is {found}, and was {expected}")


def failed(url: str, key: str | None, reason: str) -> StorageError:
    """Return the error about a store that did not do what it was asked for."""
    where = f"{url}, object {key}" if key else url
    return StorageError(f"the store failed at {where}: {reason}", **({"key": key} if key else {}))


def of_system(error: OSError, url: str, key: str | None, folder: str, *, done_bytes: int | None = None) -> SkerryError:
    """Return what an error of the operating system means.

    Args:
        error: The error.
        url: The address of the store.
        key: The object that it was about, if one.
        folder: Where it happened, to say how much room is left.
        done_bytes: How much of the object had been written.
    """
    if error.errno in _FULL:
        written = "" if done_bytes is None else f" after {done_bytes:,} bytes of the object"
        return failed(url, key, f"{_FULL[error.errno]}{written}; {_room(folder)}. Make room, or use another disk")
    if isinstance(error, PermissionError) and os.path.isdir(folder) and not os.access(folder, os.W_OK):
        return failed(url, key, f"no permission to write in {folder}; its owner has to allow it")
    return failed(url, key, error.strerror or type(error).__name__)


def _room(folder: str) -> str:
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    usage = shutil.disk_usage(folder)
    return f"{usage.free:,} of {usage.total:,} bytes are free in {folder}"
