"""Inputs that lie on this machine already: used where they are, or copied inside the kernel."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.errors import MalformedBodyError, StorageError
from skerry.payload.file import DIGEST, Reference
from skerry.store.inputs.digests import FileStamp
from skerry.store.inputs.store import InputStore, missing
from skerry.store.inputs.upload import show

_FICLONE = 0x40049409  # of linux/fs.h: a second name for the same blocks, until one of them is written to


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where an input lies, as a caller on this machine tells it.

    Args:
        reference: The input.
        path: Of the file or folder.
        stamps: Of each file by its path in the folder; a file's own under the empty path.
        contents: The files: digest in hexadecimal, path, size in bytes.
        listing: Of a folder.
        local: Whether it must not leave this site.
        keep: Whether it is to be copied, because it must be there when the caller's file may be gone.
    """

    reference: Reference
    path: str
    stamps: dict[str, FileStamp]
    contents: list[tuple[str, str, int]]
    listing: str | None
    local: bool
    keep: bool

    @classmethod
    def parse(cls, told: Mapping[str, Any]) -> Placed:
        """Return what a caller's JSON object means.

        Raises:
            MalformedBodyError: it is none.
        """
        try:
            contents = [(str(digest), str(path), int(size)) for digest, path, size in told["contents"]]
            if not all(DIGEST.fullmatch(digest) for digest, _, _ in contents):
                raise ValueError("a digest is none")
            return cls(
                reference=Reference(**told["reference"]),
                path=str(told["path"]),
                stamps={str(name): FileStamp(*map(int, stamp)) for name, stamp in told["stamps"].items()},
                contents=[(digest.removeprefix("sha256:"), path, size) for digest, path, size in contents],
                listing=told["listing"],
                local=bool(told["local"]),
                keep=bool(told["keep"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedBodyError(f"not a reference with the place of a file: {error}") from error

    def labelled(self) -> list[tuple[str, int]]:
        """Return the digest and the size of all that a label on the input is about: its files, and the folder."""
        files = [(sha256, size_bytes) for sha256, _, size_bytes in self.contents]
        return files if self.listing is None else [*files, (self.reference.hex, len(self.listing.encode()))]

    def check(self) -> None:
        """Look whether the files are what the caller has seen.

        Raises:
            InputNotFoundError: they are not: this process sees other files than the caller, or they have changed.
        """
        for name, stamp in self.stamps.items():
            try:
                found: FileStamp | None = FileStamp.of(os.stat(os.path.join(self.path, name) if name else self.path))
            except OSError:
                found = None
            if found != stamp:
                raise missing([self.reference.hex])


def adopt(store: InputStore, sha256: str, source: str | bytes) -> None:
    """Copy a content into the store, without the bytes' leaving the kernel where they are a file's.

    The digest is believed: whoever may use the engine's socket may write into its folder as well.

    Raises:
        StorageError: the disk is full or failed, or the file is gone.
    """
    store.create()
    if store.has(sha256):
        return
    handle, name = tempfile.mkstemp(prefix=f".{sha256}-", dir=store.arriving)
    try:
        with os.fdopen(handle, "wb", buffering=0) as copy:
            if isinstance(source, bytes):
                copy.write(source)
            else:
                _copy(source, copy.fileno())
        show(store, Path(name), sha256)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise StorageError(f"sha256:{sha256} cannot be copied to {store.folder}: {error.strerror}") from error


def _copy(path: str, target: int) -> None:
    with open(path, "rb", buffering=0) as source:
        try:
            fcntl.ioctl(target, _FICLONE, source.fileno())
            return
        except OSError:
            pass  # the file system cannot, or it is another one
        with os.fdopen(os.dup(target), "wb", buffering=0) as copy:
            try:
                while os.copy_file_range(source.fileno(), target, 2**30):
                    continue
            except OSError:  # between file systems that cannot either
                source.seek(0)
                copy.seek(0)
                shutil.copyfileobj(source, copy, 2**20)
