"""Inputs in a store of objects: between callers and machines that share nothing else, such as the pods of a cluster.

Each content is one object, ``contents/HEX``. Whoever writes it and whoever reads it computes its digest: the store is
not believed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skerry.errors import CorruptObjectError, ObjectNotFoundError
from skerry.payload.file import Kind, Reference
from skerry.store.inputs.digests import CHUNK_BYTES, read_pieces
from skerry.store.inputs.eviction import evict
from skerry.store.inputs.listing import Listing
from skerry.store.inputs.store import InputStore, disk_errors, missing
from skerry.store.inputs.upload import show

if TYPE_CHECKING:
    from skerry.store.objects import ObjectStore

SHARED_VARIABLE = "SKERRY_INPUTS_STORE"


class SharedInputs:
    """The contents in a store of objects; safe for threads, not for forks.

    Args:
        url: The store's, such as ``s3://bucket/inputs``; nothing is connected before it is needed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._opening = threading.Lock()
        self._opened: ObjectStore | None = None

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Return whether a content is there, and of its size.

        Raises:
            StorageError: the store cannot be reached.
        """
        try:
            return self._objects().describe(_key(sha256)).size_bytes == size_bytes
        except ObjectNotFoundError:
            return False

    def put(self, sha256: str, source: str | bytes) -> None:
        """Write a content.

        Args:
            sha256: Its digest, in hexadecimal.
            source: The path of the file, or the bytes themselves.

        Raises:
            CorruptObjectError: the file is another one by now; nothing is left of it.
            StorageError: the store cannot be written.
        """
        pieces = [source] if isinstance(source, bytes) else read_pieces(source)
        self._objects().put(_key(sha256), _verified(pieces, sha256))

    def fetch(self, store: InputStore, reference: Reference, kind: Kind, *, limit_bytes: int | None = None) -> None:
        """Bring an input to this machine, as far as it is not here; its contents are there whole, or not at all.

        Args:
            store: This machine's inputs.
            reference: What is wanted.
            kind: Whether it is a file or a folder.
            limit_bytes: Most bytes that the machine keeps of inputs that are not in use; None keeps all.

        Raises:
            InputNotFoundError: the store does not have all of it, or what it has is something else.
            StorageError: the store cannot be reached, or the disk is full.
        """
        with _alone(store, reference.hex):
            if kind == "file":
                self._bring(store, [reference.hex])
            elif not self._has_folder(store, reference.hex):
                listing = Listing.parse(self._read(reference.hex))
                self._bring(store, [sha256 for _, _, sha256 in listing.files])
                self._bring(store, [reference.hex])  # last: whoever sees it finds the files
        if limit_bytes is not None:
            evict(store, limit_bytes)

    def _has_folder(self, store: InputStore, sha256: str) -> bool:
        if not store.has(sha256):
            return False
        files = Listing.parse((store.contents / sha256).read_bytes()).files
        return all([store.has(content) for _, _, content in files])

    def _read(self, sha256: str) -> bytes:
        try:
            return b"".join(_verified(self._objects().stream(_key(sha256)), sha256))
        except (ObjectNotFoundError, CorruptObjectError) as error:
            raise missing([sha256]) from error

    def _bring(self, store: InputStore, digests: list[str]) -> None:
        gone = []
        for sha256 in dict.fromkeys(digests):
            try:
                if not store.has(sha256):
                    self._bring_one(store, sha256)
            except (ObjectNotFoundError, CorruptObjectError):
                gone.append(sha256)
        if gone:
            raise missing(gone)

    def _bring_one(self, store: InputStore, sha256: str) -> None:
        with disk_errors(store.folder):
            handle, name = tempfile.mkstemp(prefix=f".{sha256}-", dir=store.arriving)
            try:
                with os.fdopen(handle, "wb", buffering=0) as file:
                    for piece in _verified(self._objects().stream(_key(sha256), chunk_bytes=CHUNK_BYTES), sha256):
                        file.write(piece)
                show(store, Path(name), sha256)
            finally:
                Path(name).unlink(missing_ok=True)

    def _objects(self) -> ObjectStore:
        with self._opening:
            if self._opened is None:
                from skerry.store.objects import open_store

                self._opened = open_store(self.url)
            return self._opened


def _key(sha256: str) -> str:
    return f"contents/{sha256}"


def _verified(pieces: list[bytes] | Iterator[bytes], sha256: str) -> Iterator[bytes]:
    """Yield pieces, and fail at their end when they are not what a digest says."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise CorruptObjectError(f"sha256:{sha256}: the content has another digest; it changed while it was moved")


@contextmanager
def _alone(store: InputStore, sha256: str) -> Iterator[None]:
    """Keep the threads and processes of this machine from bringing the same input twice."""
    store.create()
    with disk_errors(store.folder), open(store.arriving / f".{sha256}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
