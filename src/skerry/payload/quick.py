"""Reading arguments of built-in types without the schema library, whose import takes longer than the rest of a start.

What is read here is what pydantic would have read. Anything else, and be it only a number as text where an `int` is
wanted, is left to pydantic, which is imported then.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from skerry.payload.codec import decode_msgpack

if TYPE_CHECKING:
    from skerry.payload.hints import Parameter
    from skerry.payload.schema import Schema

Read = Callable[[Any], Any]
_LIBRARY = "pydantic.type_adapter"
_SCALARS = (str, int, bool, type(None))


class NotQuickError(Exception):
    """A value has to be looked at by pydantic."""


class QuickSchema:
    """Does what a `Schema` does, and makes one when it is needed.

    Args:
        read: Decoded value to value; raises `NotQuickError`.
        make: Makes the schema.
    """

    def __init__(self, read: Read, make: Callable[[], Schema]) -> None:
        self._read = read
        self._make = make

    @cached_property
    def schema(self) -> Schema:
        """The schema itself."""
        return self._make()

    def validate_json(self, body: bytes) -> Any:
        """Return the value of a JSON body; what it raises says no more than that :meth:`read_json` has to be asked."""
        return self._read(orjson.loads(body))

    def read_json(self, body: bytes) -> Any:
        """Return the value of a JSON body."""
        try:
            return self._read(orjson.loads(body))
        except (NotQuickError, ValueError):
            return self.schema.read_json(body)

    def read_msgpack(self, body: bytes) -> Any:
        """Return the value of a MessagePack body."""
        value = decode_msgpack(body)
        try:
            return self._read(value)
        except NotQuickError:
            return self.schema.convert(value)


def is_worth_it() -> bool:
    """Return whether pydantic would have to be imported for this."""
    return _LIBRARY not in sys.modules


def value_reader(hint: Any) -> Read | None:
    """Return what takes a decoded value for an annotation; None for annotations that need pydantic."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    reader: Read | None = None
    if hint is None or hint in _SCALARS:
        reader = _exactly(type(None) if hint is None else hint)
    elif hint is float:
        reader = _read_float
    elif origin is list:
        reader = _list_of(args[0])
    elif origin is dict and args[0] is str:
        reader = _dict_of(value_reader(args[1]))
    elif origin in (typing.Union, types.UnionType) and all(part in (*_SCALARS, float) for part in args):
        reader = _exactly(*args)
    return reader


def object_reader(parameters: Sequence[Parameter]) -> Read | None:
    """Return what takes a decoded object that fills parameters by name; None where one of them needs pydantic."""
    readers = {p.name: reader for p in parameters if (reader := value_reader(p.hint)) is not None}
    if len(readers) < len(parameters):
        return None
    required = {p.name for p in parameters if p.required}

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict or not (required <= value.keys() <= readers.keys()):
            raise NotQuickError
        return {name: readers[name](value[name]) for name in readers if name in value}

    return read


def _exactly(*classes: type) -> Read:
    def read(value: Any) -> Any:
        if type(value) in classes:
            return value
        raise NotQuickError

    return read


def _read_float(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int and value:  # the zero of JSON may have had a sign
        return float(value)
    raise NotQuickError


def _list_of(hint: Any) -> Read | None:
    read_item = value_reader(hint)
    if read_item is None:
        return None

    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise NotQuickError
        if hint is float and all(type(item) is float for item in value):
            return value
        return [read_item(item) for item in value]

    return read


def _dict_of(read_item: Read | None) -> Read | None:
    if read_item is None:
        return None

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict or not all(type(key) is str for key in value):
            raise NotQuickError
        return {key: read_item(item) for key, item in value.items()}

    return read
