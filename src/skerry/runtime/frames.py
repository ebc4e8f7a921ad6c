"""The length-prefixed frames that a front and a worker exchange over a Unix socket.

One frame is a 12-byte little-endian header, a MessagePack map of metadata (left out when empty) and a body:

====== ===== ================================================
offset bytes
====== ===== ================================================
0      4     length of the body
4      4     number of the call that the frame belongs to
8      1     kind (`Kind`)
9      1     codec of the body (`Codec`)
10     2     length of the metadata
====== ===== ================================================

Frames stand back to back: whatever has gathered in one turn of the loop is sent with one write.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

HEADER = struct.Struct("<IIBBH")
MAX_META_BYTES = 0xFFFF
MAX_BODY_BYTES = 0xFFFFFFFF


class Kind(IntEnum):
    """What a frame says."""

    CALL = 1  # front: run this
    CANCEL = 2  # front: the caller left
    STOP = 3  # front: finish what you have, unload, exit
    HELLO = 16  # worker: forked; meta: pid
    READY = 17  # worker: loaded; meta: phases_ms
    START_FAILED = 18  # worker: cannot load; body: problem; meta: log
    RESULT = 19  # worker: body is the encoded result
    ERROR = 20  # worker: body is a problem


class Codec(IntEnum):
    """How the body is written, where it is one of the usual two."""

    JSON = 0
    MSGPACK = 1
    OTHER = 2  # the metadata name the content type


CONTENT_TYPE_OF = {Codec.JSON: "application/json", Codec.MSGPACK: "application/msgpack"}
CODEC_OF = {name: codec for codec, name in CONTENT_TYPE_OF.items()}


class Frame(NamedTuple):
    """One parsed frame."""

    kind: int
    number: int
    codec: int
    meta: dict[str, Any]
    body: bytes


NO_META: dict[str, Any] = {}


def encode_frame(
    kind: int, number: int, body: bytes = b"", *, codec: int = Codec.JSON, meta: dict[str, Any] | None = None
) -> bytes:
    """Return one frame as bytes.

    Args:
        kind: A `Kind`.
        number: The call's number, 0 to 2**32 - 1; 0 where the frame belongs to no call.
        body: At most 2**32 - 1 bytes.
        codec: A `Codec`.
        meta: Plain values; at most 65,535 bytes once encoded.

    Raises:
        ValueError: the metadata or the body are too long.
    """
    packed = msgpack.packb(meta) if meta else b""
    if len(packed) > MAX_META_BYTES or len(body) > MAX_BODY_BYTES:
        raise ValueError(f"frame too long: {len(packed)} bytes of metadata, {len(body)} bytes of body")
    return HEADER.pack(len(body), number, kind, codec, len(packed)) + packed + body


class FrameReader:
    """Cuts a stream of bytes into frames; keeps what is not yet whole."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next piece of the stream and return the frames that are whole now, in order."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at, end, size = 0, len(buffer), HEADER.size
        while end - at >= size:
            body_length, number, kind, codec, meta_length = HEADER.unpack_from(buffer, at)
            body_at = at + size + meta_length
            next_at = body_at + body_length
            if next_at > end:
                break
            meta = msgpack.unpackb(bytes(buffer[at + size : body_at])) if meta_length else NO_META
            frames.append(Frame(kind, number, codec, meta, bytes(buffer[body_at:next_at])))
            at = next_at
        if at:
            del buffer[:at]
        return frames
