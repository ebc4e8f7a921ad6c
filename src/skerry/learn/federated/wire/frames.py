"""Values with arrays as bytes with a checksum, so that half a one is known from a whole one."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

Pieces = list[bytes | memoryview]
"""A content, in the order of its parts."""

LONG_BYTES = 1 << 16  # from here on, copying bytes costs more than another piece
_HEAD = struct.Struct("<4sQI")
_MOST_PIECES = 1024  # of one call to the system
_LENGTH = struct.Struct(">I")  # as MessagePack writes that of long bytes
_MAGIC = b"SKF1"
_ARRAY = 1  # the type of MessagePack's extensions that holds an array
HEAD_BYTES = _HEAD.size


def write_frame(value: Mapping[str, Any]) -> bytes:
    """Return a value of plain types, bytes and arrays as one frame."""
    return b"".join(frame_pieces(value))


def frame_pieces(value: Mapping[str, Any], *, most_bytes: int = LONG_BYTES) -> Pieces:
    """Return a value of plain types, bytes and arrays as one frame, in pieces: what is long in it is not copied.

    Args:
        value: The value.
        most_bytes: Of the longest bytes or array in it, so that it need not be searched for long ones.
    """
    if most_bytes < LONG_BYTES:
        packed: bytes = msgpack.packb(value, default=_pack_array)
        return [_HEAD.pack(_MAGIC, len(packed), zlib.crc32(packed)), packed]
    body: Pieces = _pack_long(value) if _is_long(value) else [msgpack.packb(value, default=_pack_array)]
    checksum = 0
    for piece in body:
        checksum = zlib.crc32(piece, checksum)
    return [_HEAD.pack(_MAGIC, sum(map(len, body)), checksum), *body]


def read_frame(content: bytes | memoryview, at: int = 0) -> tuple[dict[str, Any], int] | None:
    """Return the value of the frame that begins at a byte, and where it ends; none where no whole one is."""
    if len(content) - at < HEAD_BYTES:
        return None
    magic, length, checksum = _HEAD.unpack_from(content, at)
    begin, end = at + HEAD_BYTES, at + HEAD_BYTES + length
    if magic != _MAGIC or end > len(content):
        return None
    body = memoryview(content)[begin:end]
    if zlib.crc32(body) != checksum:
        return None
    return msgpack.unpackb(body, ext_hook=_unpack_array, strict_map_key=False), end


def write_all(descriptor: int, pieces: Pieces) -> int:
    """Write all of a content to a file that is open, however much the system takes at a time; return its length."""
    length = sum(map(len, pieces))
    written = os.writev(descriptor, pieces[:_MOST_PIECES])
    if written < length:  # the system has taken a part
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    return length


def frame_bytes(head: bytes) -> int | None:
    """Return how long a frame is, head included, by its first `HEAD_BYTES` bytes; none where they begin none."""
    if len(head) < HEAD_BYTES:
        return None
    magic, length, _ = _HEAD.unpack_from(head)
    return HEAD_BYTES + int(length) if magic == _MAGIC else None


def _pack_array(value: Any) -> Any:
    little = _as_little(value)
    return msgpack.ExtType(_ARRAY, msgpack.packb([little.dtype.str, list(little.shape), little.tobytes()]))


def _as_little(value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be kept in a frame")
    return np.asarray(value, value.dtype.newbyteorder("<"), order="C")


def _is_long(value: Any) -> bool:
    """Return whether a value is, or holds, bytes or an array that would better not be copied."""
    if isinstance(value, dict):
        return any(map(_is_long, value.values()))
    return (isinstance(value, bytes) and len(value) >= LONG_BYTES) or (
        isinstance(value, np.ndarray) and value.nbytes >= LONG_BYTES
    )


def _pack_long(value: Any) -> Pieces:
    """Return the MessagePack of a value that is long, in pieces: its own long parts, and what is around them."""
    if isinstance(value, bytes):
        return [b"\xc6" + _LENGTH.pack(len(value)), value]
    if isinstance(value, np.ndarray):
        little = _as_little(value)
        inner = b"\x93" + msgpack.packb(little.dtype.str) + msgpack.packb(list(little.shape))
        inner += b"\xc6" + _LENGTH.pack(little.nbytes)
        outer = b"\xc9" + _LENGTH.pack(len(inner) + little.nbytes) + bytes([_ARRAY])
        return [outer + inner, little.reshape(-1).view(np.uint8).data]
    pieces: Pieces = [b"\xdf" + _LENGTH.pack(len(value))]
    for key, item in value.items():
        pieces.append(msgpack.packb(key))
        pieces.extend(_pack_long(item) if _is_long(item) else [msgpack.packb(item, default=_pack_array)])
    return pieces


def _unpack_array(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        return msgpack.ExtType(code, data)
    dtype, shape, content = msgpack.unpackb(data)
    return np.frombuffer(content, dtype).astype(np.dtype(dtype).newbyteorder("=")).reshape(shape)
