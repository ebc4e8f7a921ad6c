"""JSON and MessagePack: bytes to values and back, without a schema.

JSON is written and read by orjson: whole numbers over 64 bits are refused when written and become floats when read.
NaN and the infinities are refused when written: JSON has no form for them, and ``null`` would hide a fault.
MessagePack knows one extension type, 1, an array: ``msgpack([dtype, shape, bytes])``. Other types, timestamps included,
are refused.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import msgpack
import orjson

from skerry.errors import InvalidPayloadError, MalformedBodyError, SkerryError
from skerry.payload.array import pack_array, unpack_array
from skerry.payload.media import JSON, require_codec
from skerry.payload.plain import is_array, json_fallback, msgpack_fallback, refuse_non_finite

ARRAY_EXTENSION = 1

ENCODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError, AttributeError)
_DECODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError, msgpack.UnpackException)
# msgpack reads a timestamp (type -1 in 4, 8 or 12 bytes) without asking the hook. No body without one of these pairs of
# bytes holds any, so only bodies with a pair are searched.
_MAY_HOLD_TIMESTAMP = re.compile(rb"[\xd6\xd7\x04\x08\x0c]\xff")


def encode(value: Any, content_type: str = JSON) -> bytes:
    """Return a value as a body.

    Args:
        value: Plain values, dataclasses, pydantic models, dates, NumPy arrays and numbers.
        content_type: `JSON` or `MSGPACK`, or a synonym of one.

    Raises:
        InvalidPayloadError: the value has no form in this content type.
        UnsupportedMediaTypeError: no codec writes this content type.
    """
    return encode_json(value) if require_codec(content_type) == JSON else encode_msgpack(value)


def decode(body: bytes, content_type: str) -> Any:
    """Return the value of a body.

    Args:
        body: The whole body.
        content_type: `JSON` or `MSGPACK`, or a synonym of one; empty means JSON.

    Raises:
        MalformedBodyError: the body is not what its content type says.
        UnsupportedMediaTypeError: no codec reads this content type.
    """
    return decode_json(body) if require_codec(content_type) == JSON else decode_msgpack(body)


def encode_json(value: Any) -> bytes:
    """Return a value as JSON; see :func:`encode`."""
    try:
        body = orjson.dumps(value, json_fallback)
        if body.find(b"null") >= 0:
            refuse_non_finite(value)
    except ENCODE_ERRORS as error:
        refuse_value(value, error, "JSON")
    return body


def decode_json(body: bytes) -> Any:
    """Return the value of a JSON body; see :func:`decode`."""
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise MalformedBodyError(f"the body is not JSON: {error}") from error


def encode_msgpack(value: Any) -> bytes:
    """Return a value as MessagePack; see :func:`encode`."""
    try:
        return msgpack.packb(value, default=_pack_unknown, use_bin_type=True)  # type: ignore[no-any-return]  # msgpack is untyped
    except ENCODE_ERRORS as error:
        refuse_value(value, error, "MessagePack")


def decode_msgpack(body: bytes) -> Any:
    """Return the value of a MessagePack body; see :func:`decode`."""
    try:
        # Text must be UTF-8. No length may say more than the body has bytes: msgpack bounds them all by the body.
        value = msgpack.unpackb(body, raw=False, strict_map_key=False, ext_hook=unpack_extension)
    except _DECODE_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise MalformedBodyError(f"the body is not MessagePack: {reason}") from error
    if _MAY_HOLD_TIMESTAMP.search(body):
        _refuse_timestamps(value)
    return value


def refuse_value(value: Any, error: BaseException, form: str) -> NoReturn:
    """Raise what says that a value cannot be written, with the reason that the codec's hooks gave."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SkerryError):
            raise cause from error
        cause = cause.__cause__
    # orjson reports its hook's refusal as the cause of its own.
    reason = error.__cause__ if isinstance(error.__cause__, TypeError) else error
    raise InvalidPayloadError(
        f"a value of type {type(value).__name__} cannot be written as {form}: {reason}"
    ) from error


def _pack_unknown(value: Any) -> Any:
    stand_in = msgpack_fallback(value)
    if is_array(stand_in):
        return msgpack.ExtType(ARRAY_EXTENSION, msgpack.packb(pack_array(stand_in)))
    return stand_in


def unpack_extension(code: int, data: bytes) -> Any:
    """Return the array of a MessagePack extension value.

    Raises:
        MalformedBodyError: it is of another type, or no array.
    """
    if code != ARRAY_EXTENSION:
        raise MalformedBodyError(f"MessagePack extension type {code} is not known; {ARRAY_EXTENSION} is an array")
    try:
        parts = msgpack.unpackb(data, raw=False)
    except _DECODE_ERRORS as error:
        raise MalformedBodyError(f"array: not the MessagePack of [dtype, shape, bytes]: {error}") from error
    if not isinstance(parts, list) or len(parts) != 3:
        raise MalformedBodyError("array: expected [dtype, shape, bytes]")
    return unpack_array(*parts)


def _refuse_timestamps(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, msgpack.Timestamp):
            raise MalformedBodyError("MessagePack timestamps are not read: send the time as RFC 3339 text")
        if isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
