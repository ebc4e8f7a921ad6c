"""A content on its way into the store: what has arrived stays, and nobody sees it before it is whole and right."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from skerry.errors import CorruptObjectError, InvalidPayloadError, StorageError
from skerry.store.inputs.coding import decompress
from skerry.store.inputs.digests import CHUNK_BYTES, read_pieces
from skerry.store.inputs.store import InputStore

_SEGMENT = ".zstd"


class Upload:
    """The bytes of one content, from an offset on, in the order in which they come.

    What comes plain is appended to what has arrived. What comes compressed is kept beside it and decompressed when it
    ends or is cut off, so that what has arrived is always the beginning of the content itself: whoever goes on may
    compress in another way, or not at all.

    Args:
        store: Where to.
        sha256: The digest that the whole must have, in hexadecimal.
        size_bytes: The size that the whole must have.
        offset_bytes: Where this begins.
        coded: Whether it comes compressed.

    Raises:
        InvalidPayloadError: so much has not arrived, or more has.
        StorageError: the disk failed.
    """

    def __init__(self, store: InputStore, sha256: str, *, size_bytes: int, offset_bytes: int, coded: bool) -> None:
        store.create()
        self._store = store
        self._sha256 = sha256
        self._size_bytes = size_bytes
        self._whole = store.arriving / sha256
        self._segment = store.arriving / f"{sha256}{_SEGMENT}" if coded else None
        absorb(store, sha256, size_bytes)
        with _disk_errors(self._whole):
            self._descriptor = os.open(self._segment or self._whole, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        there_bytes = store.arrived_bytes(sha256)
        if there_bytes != offset_bytes:
            self.close()
            raise InvalidPayloadError(
                f"sha256:{sha256}: {there_bytes} bytes have arrived; go on from there, not from {offset_bytes}",
                received_bytes=there_bytes,
            )
        self._at = 0 if coded else offset_bytes

    def write(self, piece: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            StorageError: the disk is full or failed.
        """
        rest = memoryview(piece)
        with _disk_errors(self._whole):
            while rest:
                written = os.pwrite(self._descriptor, rest, self._at)
                self._at += written
                rest = rest[written:]

    def close(self) -> None:
        """Write no more; further calls do nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def finish(self) -> int:
        """Take in what has come; show the content when that is all of it, and return how much has arrived.

        Raises:
            CorruptObjectError: the whole is not what its digest says; nothing is left of it.
            StorageError: the disk is full or failed.
        """
        self.close()
        absorb(self._store, self._sha256, self._size_bytes)
        arrived_bytes = self._store.arrived_bytes(self._sha256)
        if arrived_bytes < self._size_bytes:
            return arrived_bytes
        digest = hashlib.sha256()
        for piece in read_pieces(str(self._whole)):
            digest.update(piece)
        if arrived_bytes != self._size_bytes or digest.hexdigest() != self._sha256:
            self._whole.unlink(missing_ok=True)
            raise CorruptObjectError(
                f"sha256:{self._sha256}: what has arrived has another digest or size; the file changed while it was "
                "sent, or the sender is at fault: send it again"
            )
        with _disk_errors(self._whole):
            show(self._store, self._whole, self._sha256)
        return arrived_bytes


def absorb(store: InputStore, sha256: str, size_bytes: int) -> None:
    """Decompress what has come compressed and append it to what has arrived, also after the engine was killed."""
    segment = store.arriving / f"{sha256}{_SEGMENT}"
    if not segment.exists():
        return
    whole = store.arriving / sha256
    with _disk_errors(whole), open(whole, "ab", buffering=0) as file:
        left_bytes = size_bytes - file.tell()
        # Bytes that are none of Zstandard's are the sender's fault: the digest will say so, or it goes on from here.
        with contextlib.suppress(ValueError):
            for piece in decompress(_read(segment), most_bytes=left_bytes):
                file.write(piece[: max(0, size_bytes + 1 - file.tell())])
        segment.unlink()


def show(store: InputStore, path: Path, sha256: str) -> None:
    """Let a whole and verified content be seen; durable first."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, 0o444)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.utime(path)
    path.replace(store.contents / sha256)


def _read(path: Path) -> Iterator[bytes]:
    return read_pieces(str(path), piece_bytes=CHUNK_BYTES)


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the inputs in {path.parent.parent} cannot be written: {error.strerror}") from error
