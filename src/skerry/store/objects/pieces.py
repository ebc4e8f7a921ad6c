"""Pieces of bytes: counted and hashed on their way in, verified on their way out."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, cast

from skerry.errors import ConfigError, SkerryError


def check_pieces(key: str, data: Any) -> Iterator[bytes | memoryview]:
    """Yield what `put` was given piece by piece, and refuse what is not bytes.

    Raises:
        ConfigError: The data, or one of their pieces, are something else than bytes.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        yield memoryview(data).cast("B")
        return
    if isinstance(data, str) or not isinstance(data, Iterable):
        raise ConfigError(
            f"the data of object {key} are {type(data).__name__}; they have to be bytes, or pieces of bytes"
        )
    for number, piece in enumerate(data):
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise ConfigError(f"piece {number} of object {key} is {type(piece).__name__}, not bytes")
        yield memoryview(piece).cast("B")


def verify(pieces: Iterable[bytes], sha256: str, refuse: Callable[[str], SkerryError]) -> Iterator[bytes]:
    """Yield pieces, the last one only when all of them together have the checksum.

    A consumer that stops at the error therefore never holds a whole object that is not what was put.

    Args:
        pieces: What was read.
        sha256: What it should be, 64 hexadecimal digits.
        refuse: Makes the error, from the checksum that was found.
    """
    digest = hashlib.sha256()
    held: bytes | None = None
    for piece in pieces:
        digest.update(piece)
        if held is not None:
            yield held
        held = piece
    if digest.hexdigest() != sha256:
        raise refuse(digest.hexdigest())
    if held is not None:
        yield held


def check_chunk_bytes(chunk_bytes: int) -> int:
    """Return the size of pieces, or refuse it.

    Raises:
        ConfigError: It is not a number from 1.
    """
    if isinstance(chunk_bytes, int) and chunk_bytes >= 1:
        return chunk_bytes
    raise ConfigError(f"chunk_bytes is {chunk_bytes!r}; it must be a number of bytes, at least 1")


def check_bytes(key: str, data: Any) -> bytes:
    """Return data that have to come whole, or refuse them.

    Raises:
        ConfigError: They are something else than bytes.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise ConfigError(f"the data of object {key} are {type(data).__name__}; here they have to be bytes, whole")


def cut(pieces: Iterable[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of at most a size."""
    for piece in pieces:
        for start in range(0, len(piece), chunk_bytes):
            yield piece[start : start + chunk_bytes]


@contextlib.contextmanager
def spool(
    key: str, data: Iterable[bytes], *, memory_bytes: int, refuse: Callable[[OSError, str, str, int], SkerryError]
) -> Iterator[tuple[IO[bytes] | bytes, int, str]]:
    """Gather the pieces of an object, in a temporary file when they are many.

    Args:
        key: The object.
        data: Its pieces.
        memory_bytes: How much is held in memory.
        refuse: Makes the error when the file cannot be written, of what the system said, the key, the folder and the
            number of bytes that were written.

    Yields:
        The bytes, or a file that stands at its beginning; their number; their SHA-256.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    with tempfile.SpooledTemporaryFile(max_size=memory_bytes) as file:
        for piece in check_pieces(key, data):
            digest.update(piece)
            try:
                file.write(piece)
            except OSError as error:
                raise refuse(error, key, tempfile.gettempdir(), size_bytes) from error
            size_bytes += len(piece)
        file.seek(0)
        small = size_bytes <= memory_bytes
        yield file.read() if small else cast(IO[bytes], file), size_bytes, digest.hexdigest()
