"""Zstandard, where it is installed: of Python 3.14, or of the package ``zstandard``."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

ZSTD = "zstd"
LEVEL = 3


@cache
def _library() -> tuple[str, Any] | None:
    for name in ("compression.zstd", "zstandard"):
        try:
            return name, importlib.import_module(name)
        except ImportError:
            continue
    return None


def codings() -> list[str]:
    """Return the codings that this process can write and read, besides none."""
    return [] if _library() is None else [ZSTD]


def compress(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the Zstandard form of pieces that follow each other; only where `codings` names it."""
    coder = _compressor()
    for piece in pieces:
        if coded := coder.compress(piece):
            yield coded
    yield coder.flush()


def decompress(pieces: Iterable[bytes], *, most_bytes: int) -> Iterator[bytes]:
    """Yield what Zstandard pieces stand for, as far as they go: what was cut off gives its beginning.

    Args:
        pieces: The pieces.
        most_bytes: Stop once there is more than so much.

    Raises:
        ValueError: they are not Zstandard's.
    """
    decode, fault = _decompressor()
    got_bytes = 0
    for piece in pieces:
        # Small bites: a hostile piece of 64 KiB may stand for 2 GiB, one of 4 KiB for no more than 128 MiB.
        for at in range(0, len(piece), 4096):
            try:
                plain = decode(piece[at : at + 4096])
            except fault as error:
                raise ValueError(f"not Zstandard: {error}") from error
            got_bytes += len(plain)
            if plain:
                yield plain
            if got_bytes > most_bytes:
                return


def _compressor() -> Any:
    found = _library()
    if found is None:
        raise RuntimeError("no Zstandard")
    name, library = found
    return library.ZstdCompressor(level=LEVEL) if name != "zstandard" else _OfPackage(library)


class _OfPackage:
    def __init__(self, library: Any) -> None:
        self._coder = library.ZstdCompressor(level=LEVEL).compressobj()

    def compress(self, piece: bytes) -> bytes:
        return bytes(self._coder.compress(piece))

    def flush(self) -> bytes:
        return bytes(self._coder.flush())


def _decompressor() -> tuple[Callable[[bytes], bytes], type[Exception]]:
    found = _library()
    if found is None:
        raise RuntimeError("no Zstandard")
    name, library = found
    if name == "zstandard":
        return library.ZstdDecompressor().decompressobj().decompress, library.ZstdError
    return library.ZstdDecompressor().decompress, library.ZstdError
