"""How the items of a stream travel: the pieces that a worker writes, and how a client takes them apart.

============================ ============================================ ==============================================
content type                 an item                                      an error after the first item
============================ ============================================ ==============================================
``text/event-stream``        ``data: JSON``, an empty line                ``event: error`` with the problem as its data
``application/msgpack``      one MessagePack value                        extension type 2 with the problem as JSON
``application/octet-stream`` the bytes as they are                        the connection is cut
``application/x-ndjson``     JSON and a line feed                         the connection is cut
============================ ============================================ ==============================================

Sources: server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html; newline-delimited JSON,
https://github.com/ndjson/ndjson-spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgpack
import orjson

from skerry.errors import HandlerError, MalformedBodyError, from_problem
from skerry.payload.codec import unpack_extension
from skerry.payload.media import MSGPACK, OCTETS, codec_name, essence
from skerry.payload.signature import Signature

EVENT_STREAM = "text/event-stream"
NDJSON = "application/x-ndjson"
ERROR_EXTENSION = 2


class PieceForm(NamedTuple):
    """How the items of one stream are written.

    Args:
        content_type: What the whole answer is.
        write: Item to piece; raises `HandlerError` for one that cannot be sent.
        write_error: Problem, as JSON, to the piece that tells of it; None where no piece can.
    """

    content_type: str
    write: Callable[[Any], bytes]
    write_error: Callable[[bytes], bytes] | None


def piece_form(signature: Signature, accept: str) -> PieceForm:
    """Return how the items of a stream are written for a caller.

    Args:
        signature: The generator's.
        accept: The caller's ``Accept``; the first content type in it that a stream can have is taken.
    """
    write_json = signature.encode_json
    for accepted in accept.split(","):
        kind = essence(accepted)
        if kind == EVENT_STREAM:
            return PieceForm(EVENT_STREAM, lambda item: b"data: " + write_json(item) + b"\n\n", _event_error)
        if codec_name(kind) == MSGPACK:
            return PieceForm(MSGPACK, signature.encode_msgpack, _msgpack_error)
        if kind == NDJSON:
            break
    else:
        if signature.sends_bytes:
            return PieceForm(OCTETS, _octets, None)
    return PieceForm(NDJSON, lambda item: write_json(item) + b"\n", None)


class PieceReader:
    """Takes a stream of MessagePack values apart.

    Args:
        signature: The generator's; items become what its annotation says.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, ext_hook=_read_extension)

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take the next bytes and yield the items that are whole now.

        Raises:
            SkerryError: the error that broke the stream.
            MalformedBodyError: the bytes are not such a stream.
        """
        self._unpacker.feed(data)
        while True:
            try:
                item = self._unpacker.unpack()
            except msgpack.OutOfData:
                return
            except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
                raise MalformedBodyError(f"the stream is not MessagePack: {error}") from error
            yield self._signature.read_item(item)


def _octets(item: Any) -> bytes:
    if not isinstance(item, bytes | bytearray | memoryview):
        raise HandlerError(f"the handler's result cannot be sent: expected bytes, got {type(item).__name__}")
    return bytes(item)


def _event_error(problem: bytes) -> bytes:
    return b"event: error\ndata: " + problem + b"\n\n"


def _msgpack_error(problem: bytes) -> bytes:
    return msgpack.packb(msgpack.ExtType(ERROR_EXTENSION, problem))  # type: ignore[no-any-return]  # msgpack is untyped


def _read_extension(code: int, data: bytes) -> Any:
    if code == ERROR_EXTENSION:
        problem = orjson.loads(data)
        if not isinstance(problem, dict):
            raise ValueError("an error must be a JSON object")
        raise from_problem(problem)
    return unpack_extension(code, data)
