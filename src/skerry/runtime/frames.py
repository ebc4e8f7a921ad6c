"""The length-prefixed frames that a front and a worker exchange over a Unix socket.

One frame is a 16-byte little-endian header, a MessagePack map of metadata (left out when empty) and a body:

====== ===== =======================================================================
offset bytes
====== ===== =======================================================================
0      4     length of the body
4      4     number of the call that the frame belongs to; of a BATCH the calls in it
8      1     kind (`Kind`)
9      1     codec of the body (`Codec`)
10     2     length of the metadata
12     4     time: of a CALL, ms until its deadline (0 for none); of a RESULT, ERROR or
             END, microseconds that the handler ran, of a group's items each its
             share; of a CREDIT, bytes
====== ===== =======================================================================

Frames stand back to back: whatever has gathered in one turn of the loop is sent with one write.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, NamedTuple

import msgpack

HEADER = struct.Struct("<IIBBHI")
MAX_META_BYTES = 0xFFFF
MAX_BODY_BYTES = 0xFFFFFFFF
MAX_TIME = 0xFFFFFFFF
READ_BYTES = 1 << 15  # of one read of a link: what is gathered in a turn of the loop is seldom more
READ_ON_BYTES = 1 << 18  # of one read in the middle of a frame
STREAM_WINDOW_BYTES = 256 * 1024  # of a stream that a worker may have sent ahead of what its caller has taken


class Kind(IntEnum):
    """What a frame says."""

    CALL = 1  # front: run this
    CANCEL = 2  # front: the caller left
    STOP = 3  # front: finish what you have, unload, exit
    CREDIT = 4  # front: the caller has taken so many bytes of a stream
    BATCH = 5  # front: the next so many calls are for one call of a handler that takes a list
    WORK = 6  # front, to a process that has described its app: be a worker of it; meta: target, asked_at_s
    HELLO = 16  # worker: forked; meta: pid
    READY = 17  # worker: loaded; meta: phases_ms
    START_FAILED = 18  # worker: cannot load; body: problem; meta: log
    RESULT = 19  # worker: body is the encoded result
    ERROR = 20  # worker: body is a problem; in the middle of a stream, the end of it
    STREAM = 21  # worker: the answer comes in pieces; meta: content_type
    PIECE = 22  # worker: the next bytes of the answer
    END = 23  # worker: the stream is over


class Codec(IntEnum):
    """How the body is written, where it is one of the usual ways."""

    JSON = 0
    MSGPACK = 1
    OTHER = 2  # the metadata name the content type
    EVENT = 3  # of calls only: a CloudEvent in structured mode
    EVENTS = 4  # of calls only: a batch of them


CONTENT_TYPE_OF = {
    Codec.JSON: "application/json",
    Codec.MSGPACK: "application/msgpack",
    Codec.EVENT: "application/cloudevents+json",
    Codec.EVENTS: "application/cloudevents-batch+json",
}
CODEC_OF = {CONTENT_TYPE_OF[codec]: codec for codec in (Codec.JSON, Codec.MSGPACK)}


class Frame(NamedTuple):
    """One parsed frame."""

    kind: int
    number: int
    codec: int
    meta: dict[str, Any]
    body: bytes
    time: int = 0


NO_META: dict[str, Any] = {}


def encode_frame(
    kind: int, number: int, body: bytes = b"", *, codec: int = 0, meta: dict[str, Any] | None = None, time: int = 0
) -> bytes:
    """Return one frame as bytes.

    Args:
        kind: A `Kind`.
        number: The call's number, 0 to 2**32 - 1; 0 where the frame belongs to no call.
        body: At most 2**32 - 1 bytes.
        codec: A `Codec`.
        meta: Plain values; at most 65,535 bytes once encoded.
        time: See the table above, 0 to 2**32 - 1.

    Raises:
        ValueError: the metadata or the body are too long.
    """
    if not meta:
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"frame too long: {len(body)} bytes of body")
        return HEADER.pack(len(body), number, kind, codec, 0, time) + body
    packed: bytes = msgpack.packb(meta)
    if len(packed) > MAX_META_BYTES or len(body) > MAX_BODY_BYTES:
        raise ValueError(f"frame too long: {len(packed)} bytes of metadata, {len(body)} bytes of body")
    return HEADER.pack(len(body), number, kind, codec, len(packed), time) + packed + body


class FrameReader:
    """Cuts a stream of bytes into frames; keeps what is not yet whole."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def read_bytes(self) -> int:
        """How much to read next.

        A read takes as much memory as it may bring. Where that is a lot, the C library asks the system for it and gives
        it back each time, which costs more than the read.
        """
        return READ_ON_BYTES if self._rest else READ_BYTES

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next piece of the stream and return the frames that are whole now, in order.

        Raises:
            ValueError: the metadata of a frame are no MessagePack map; the stream cannot be read on.
        """
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < HEADER.size or len(rest) < _length(rest):
                return []  # a large frame comes in many pieces, and is copied once
            data = bytes(rest)
            rest.clear()
        frames: list[Frame] = []
        at, end, size, unpack, new = 0, len(data), HEADER.size, HEADER.unpack_from, tuple.__new__
        while end - at >= size:
            body_length, number, kind, codec, meta_length, time = unpack(data, at)
            body_at = at + size + meta_length
            next_at = body_at + body_length
            if next_at > end:
                break
            meta = _unpack_meta(data[at + size : body_at]) if meta_length else NO_META
            frames.append(new(Frame, (kind, number, codec, meta, data[body_at:next_at], time)))
            at = next_at
        if at < end:
            rest += data[at:] if at else data
        return frames


def _unpack_meta(data: bytes) -> dict[str, Any]:
    try:
        meta = msgpack.unpackb(data)
    except Exception as error:
        raise ValueError(f"metadata are not MessagePack: {error}") from error
    if not isinstance(meta, dict):
        raise ValueError(f"metadata are no map but {type(meta).__name__}")
    return meta


def _length(start: bytes | bytearray) -> int:
    body_length, _, _, _, meta_length, _ = HEADER.unpack_from(start)
    return int(HEADER.size + meta_length + body_length)
