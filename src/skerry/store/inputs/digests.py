"""Digests of files, computed once for as long as a file stays as it is."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from skerry.errors import DataError

CHUNK_BYTES = 2**20
# A file system's clock may stand still for milliseconds: a file that was written just now may change again and look
# the same, so its digest is not kept.
_SETTLED_S = 0.1
_MOST_KEPT = 65_536


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a file from another one, and from what it was before, without reading it."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileStamp:
        """Return the stamp that a look at a file gives."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def to_list(self) -> list[int]:
        """Return the numbers, for JSON."""
        return list(astuple(self))


_known: dict[tuple[str, FileStamp], str] = {}
_lock = threading.Lock()


def stamp_of(path: str) -> FileStamp:
    """Return the stamp of a file.

    Raises:
        DataError: there is none, or it is no regular file.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        hint = "; send it as skerry.Folder" if stat.S_ISDIR(found.st_mode) else ""
        raise DataError(f"{path}: is no regular file{hint}")
    return FileStamp.of(found)


def digest_file(path: str) -> tuple[str, FileStamp]:
    """Return the SHA-256 of a file's content, in hexadecimal, and the stamp of the file that has it.

    Raises:
        DataError: it cannot be read, or changed meanwhile.
    """
    path = os.path.abspath(path)
    stamp = stamp_of(path)
    known = _known.get((path, stamp))
    if known is not None:
        return known, stamp
    digest = hashlib.sha256()
    for piece in read_pieces(path):
        digest.update(piece)
    if stamp_of(path) != stamp:
        raise DataError(f"{path}: changed while it was read; send it when it is complete")
    found = digest.hexdigest()
    if time.time() - stamp.changed_ns / 1e9 > _SETTLED_S:
        with _lock:
            if len(_known) >= _MOST_KEPT:
                _known.clear()
            _known[path, stamp] = found
    return found, stamp


def read_pieces(path: str, *, offset_bytes: int = 0, piece_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the content of a file from an offset on.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            file.seek(offset_bytes)
            while piece := file.read(piece_bytes):
                yield piece
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
