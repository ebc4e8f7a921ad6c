"""A folder as the list of its files by content: what its digest is the digest of."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property

from skerry.errors import DataError, InvalidPayloadError
from skerry.payload.file import is_name
from skerry.store.inputs.digests import FileStamp, digest_file

FORMAT = 1
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class Listing:
    """The files of a folder, sorted by path: path with ``/``, size in bytes, SHA-256 in hexadecimal.

    Equal folders have equal listings, byte by byte: a listing's digest is the folder's digest.
    """

    files: tuple[tuple[str, int, str], ...]

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(size for _, size, _ in self.files)

    @cached_property
    def content(self) -> bytes:
        """The listing as it is stored and sent."""
        return json.dumps({"folder": FORMAT, "files": self.files}, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def hex(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def parse(cls, content: bytes) -> Listing:
        """Return the listing that bytes stand for; nothing in it leads out of a folder.

        Raises:
            InvalidPayloadError: they are none.
        """
        try:
            value = json.loads(content)
            found = cls(tuple((path, size, sha256) for path, size, sha256 in value["files"]))
            paths = [path for path, _, _ in found.files]
            if value["folder"] == FORMAT and all(map(_is_entry, found.files)) and sorted(set(paths)) == paths:
                return found
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise InvalidPayloadError("this is not the listing of a folder; send it with skerry.Folder")


def list_folder(folder: str) -> tuple[Listing, dict[str, FileStamp]]:
    """Return the listing of a folder, and the stamp of each of its files by path in the folder.

    Links to files are followed. Names that begin with ``.`` count like any other.

    Raises:
        DataError: something in it can be no content: a link to a folder, a device, a name that is not UTF-8.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: is no folder" + ("; send it as skerry.File" if os.path.exists(folder) else ""))
    files: list[tuple[str, int, str]] = []
    stamps: dict[str, FileStamp] = {}
    for path in _walk(folder):
        place = os.path.relpath(path, folder).replace(os.sep, "/")
        if not all(map(is_name, place.split("/"))):
            raise DataError(f"{folder}: the name {place!r} cannot be sent: rename it")
        sha256, stamp = digest_file(path)
        files.append((place, stamp.size_bytes, sha256))
        stamps[place] = stamp
    return Listing(tuple(sorted(files))), stamps


def _walk(folder: str) -> list[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error

    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                raise DataError(f"{os.path.join(parent, name)}: is a link to a folder, which is not followed")
        found.extend(os.path.join(parent, name) for name in names)
    return found


def _is_entry(entry: tuple[object, object, object]) -> bool:
    path, size, sha256 = entry
    return (
        isinstance(path, str)
        and all(map(is_name, path.split("/")))
        and type(size) is int
        and size >= 0
        and isinstance(sha256, str)
        and len(sha256) == 64
        and _HEX.issuperset(sha256)
    )
