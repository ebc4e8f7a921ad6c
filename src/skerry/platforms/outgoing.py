"""The files and folders of a call, as it leaves this process."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skerry.errors import DataError
from skerry.payload.file import Found, Input, Kind, Reference, is_name

if TYPE_CHECKING:
    from skerry.store.inputs import FileStamp


@dataclass(frozen=True, slots=True)
class Content:
    """A content that a platform needs.

    Args:
        sha256: Its digest, in hexadecimal.
        size_bytes: Its size.
        source: The path of the file, or the bytes themselves.
    """

    sha256: str
    size_bytes: int
    source: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One file or folder that a call refers to.

    Args:
        reference: What stands for it in the call.
        kind: Whether it is a file or a folder.
        path: Where it lies, absolute.
        local: Whether it must not leave this site.
        contents: What a platform needs to have of it.
        stamps: Of each file by its path in the folder; a file's own under the empty path.
    """

    reference: Reference
    kind: Kind
    path: str
    local: bool
    contents: tuple[Content, ...]
    stamps: dict[str, FileStamp]


class Outbox:
    """The port of a call that leaves: collects the files and folders that it refers to."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Outgoing] = {}

    @property
    def items(self) -> tuple[Outgoing, ...]:
        """What the call refers to, each once."""
        return tuple(self._items.values())

    def refer(self, item: Input) -> Reference:
        """Return what stands for a file or folder, and have it sent.

        Raises:
            DataError: it cannot be read.
        """
        if not item.is_here:
            assert item.reference is not None  # noqa: S101  # what is not here was made of a reference
            return item.reference
        path = os.path.abspath(os.fspath(item))
        if not is_name(item.name):
            raise DataError(f"{item!r}: the name {item.name!r} cannot be sent; give another one with name=")
        outgoing = _take_file(item, path) if item.kind == "file" else _take_folder(item, path)
        self._items[outgoing.reference.digest, path] = outgoing
        item.reference = outgoing.reference
        return outgoing.reference

    def open(self, reference: Reference, kind: Kind) -> Found:
        """Leave a reference what it is: it is for the other side."""
        return Found()


def _take_file(item: Input, path: str) -> Outgoing:
    from skerry.store.inputs import digest_file  # most calls refer to no file

    sha256, stamp = digest_file(path)
    reference = Reference(digest=f"sha256:{sha256}", size_bytes=stamp.size_bytes, name=item.name)
    content = Content(sha256, stamp.size_bytes, path)
    return Outgoing(
        reference=reference, kind="file", path=path, local=item.local, contents=(content,), stamps={"": stamp}
    )


def _take_folder(item: Input, path: str) -> Outgoing:
    from skerry.store.inputs import list_folder

    listing, stamps = list_folder(path)
    reference = Reference(digest=f"sha256:{listing.hex}", size_bytes=listing.size_bytes, name=item.name)
    # The listing last: a site that has it has been sent the files.
    files = {sha256: Content(sha256, size, os.path.join(path, place)) for place, size, sha256 in listing.files}
    contents = (*files.values(), Content(listing.hex, len(listing.content), listing.content))
    return Outgoing(reference=reference, kind="folder", path=path, local=item.local, contents=contents, stamps=stamps)
