"""Pieces of bytes: counted and hashed on their way in, verified on their way out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from skerry.errors import ConfigError, SkerryError


def check_pieces(key: str, data: Any) -> Iterator[bytes | memoryview]:
    """Yield what `put` was given piece by piece, and refuse what is not bytes.

    Raises:
        ConfigError: The data, or one of their pieces, are something else than bytes.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        yield memoryview(data).cast("B")
        return
    if isinstance(data, str):
        raise ConfigError(f"the data of object {key} are str, not bytes; encode them first")
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
