"""How values are kept: whole numbers as decimal digits, which backends can add to, anything else as MessagePack."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any

from skerry.errors import ConfigError, CorruptObjectError, UserError
from skerry.payload.codec import decode_msgpack, encode_msgpack
from skerry.payload.quick import NotQuickError, value_reader

if TYPE_CHECKING:
    from skerry.payload.schema import Schema

VALUE_BYTES = 64 * 2**20
MAX_TTL_S = 10 * 366 * 86400.0

_PACKED = b"m"
_INTEGERS = range(-(2**63), 2**63)

Read = Callable[[bytes], Any]


def encode_value(value: Any) -> bytes:
    """Return the bytes of a value.

    Args:
        value: Plain values, dataclasses, pydantic models, dates, NumPy arrays and numbers, as a payload.

    Raises:
        ConfigError: it has no such form, or takes more than `VALUE_BYTES`.
    """
    if not isinstance(value, bool) and isinstance(value, Integral) and int(value) in _INTEGERS:
        return b"%d" % int(value)
    try:
        data = _PACKED + encode_msgpack(value)
    except UserError as error:  # the caller of a function is not to blame for what the function keeps
        raise ConfigError(f"a state cannot hold this: {error.message}") from error
    if len(data) > VALUE_BYTES:
        raise ConfigError(
            f"a state holds values of at most {VALUE_BYTES:,} bytes, and this one has {len(data):,}; put large things "
            "into a store of objects, and their name into the state"
        )
    return data


def decode_value(data: bytes) -> Any:
    """Return the value of bytes.

    Raises:
        CorruptObjectError: something else has written them.
    """
    try:
        return decode_msgpack(data[1:]) if data[:1] == _PACKED else int(data)
    except (UserError, ValueError) as error:
        raise CorruptObjectError(f"a value of a state is not what was put there: {error}") from error


def reader(kind: Any) -> Read:
    """Return what makes a value of bytes.

    Args:
        kind: The annotation that the value has to fit, as a handler's parameter; None: whatever it is.

    Raises:
        SpecError: the annotation cannot be checked.
    """
    if kind is None:
        return decode_value
    try:
        return _cached_reader(kind)
    except TypeError:  # an annotation that cannot be the key of a cache
        return _typed_reader(kind)


def ttl_ms(ttl_s: float | None) -> int | None:
    """Return a time to live in milliseconds, rounded up.

    Raises:
        ConfigError: it is not more than 0, or longer than ten years.
    """
    if ttl_s is None:
        return None
    if not isinstance(ttl_s, int | float) or not 0 < ttl_s <= MAX_TTL_S:
        raise ConfigError(f"ttl_s is {ttl_s!r}: a time to live is more than 0 and at most {MAX_TTL_S:.0f} seconds")
    return math.ceil(ttl_s * 1000)


def _typed_reader(kind: Any) -> Read:
    quick, convert = value_reader(kind), None

    def read(data: bytes) -> Any:
        nonlocal convert
        value = decode_value(data)
        try:
            if quick is not None:
                return quick(value)
        except NotQuickError:
            pass
        try:
            convert = convert or _schema(kind).convert
            return convert(value)
        except UserError as error:
            raise ConfigError(f"the state holds another type than {kind!r:.100}: {error.message}") from error

    return read


def _schema(kind: Any) -> Schema:
    from skerry.payload.schema import Schema  # the library behind it takes longer to import than all of this

    return Schema(kind, label="value", where="state")


_cached_reader = lru_cache(maxsize=256)(_typed_reader)
