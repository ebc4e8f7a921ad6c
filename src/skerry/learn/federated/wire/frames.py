"""Values with arrays as bytes with a checksum, so that half a one is known from a whole one."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import msgpack
import numpy as np

_HEAD = struct.Struct("<4sQI")
_MAGIC = b"SKF1"
_ARRAY = 1  # the type of MessagePack's extensions that holds an array
HEAD_BYTES = _HEAD.size


def write_frame(value: Mapping[str, Any]) -> bytes:
    """Return a value of plain types, bytes and arrays as one frame."""
    body: bytes = msgpack.packb(value, default=_pack_array)
    return _HEAD.pack(_MAGIC, len(body), zlib.crc32(body)) + body


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


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of a content to a file that is open, however much the system takes at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def frame_bytes(head: bytes) -> int | None:
    """Return how long a frame is, head included, by its first `HEAD_BYTES` bytes; none where they begin none."""
    if len(head) < HEAD_BYTES:
        return None
    magic, length, _ = _HEAD.unpack_from(head)
    return HEAD_BYTES + int(length) if magic == _MAGIC else None


def _pack_array(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{type(value).__name__} cannot be kept in a frame")
    little = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    return msgpack.ExtType(_ARRAY, msgpack.packb([little.dtype.str, list(little.shape), little.tobytes()]))


def _unpack_array(code: int, data: bytes) -> Any:
    if code != _ARRAY:
        return msgpack.ExtType(code, data)
    dtype, shape, content = msgpack.unpackb(data)
    return np.frombuffer(content, dtype).astype(np.dtype(dtype).newbyteorder("=")).reshape(shape)
