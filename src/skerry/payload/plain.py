"""Turning what a codec does not know into something that it does, and refusing what JSON cannot say."""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
from typing import Any

from skerry.errors import InvalidPayloadError
from skerry.payload.array import to_json_form
from skerry.payload.file import Input, write_reference


def json_fallback(value: Any) -> Any:
    """Return a JSON-able stand-in for a value that orjson does not know (its ``default`` hook).

    Raises:
        TypeError: there is none.
        InvalidPayloadError: it holds a number that JSON cannot say.
    """
    if is_array(value):
        return to_json_form(value)
    if _is_numpy_number(value):
        number = value.item()
        refuse_non_finite(number)
        return number
    if isinstance(value, Input):
        return write_reference(value)
    fields = _model_fields(value)
    return _jsonable(value) if fields is None else fields


def msgpack_fallback(value: Any) -> Any:
    """Return a stand-in for a value that MessagePack does not know; an array is given back as it is.

    Raises:
        TypeError: there is none.
    """
    if is_array(value):
        return value
    if _is_numpy_number(value):
        return value.item()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Input):
        return write_reference(value)
    fields = _model_fields(value)
    return _jsonable(value) if fields is None else fields


def refuse_non_finite(value: Any) -> None:
    """Raise `InvalidPayloadError` when NaN or an infinity is anywhere in a value.

    Called only for bodies that contain ``null``: both JSON writers put that in place of such a number, so a body
    without it needs no look at the value.
    """
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise _non_finite(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            pending.extend(item)
        elif isinstance(item, enum.Enum):
            pending.append(item.value)
        elif dataclasses.is_dataclass(item) and not isinstance(item, type):
            pending.extend(getattr(item, field.name) for field in dataclasses.fields(item))
        elif _is_model(item):
            pending.append(item.__dict__)


def is_array(value: Any) -> bool:
    """Return whether a value is a NumPy array, without importing NumPy: nobody has an array who has not imported it."""
    np = sys.modules.get("numpy")
    return np is not None and isinstance(value, np.ndarray)


def _is_model(value: Any) -> bool:
    # As of NumPy: nobody has a model who has not imported pydantic, which takes longer than all of a worker's start.
    models = sys.modules.get("pydantic.main")
    return models is not None and isinstance(value, models.BaseModel)


def _is_numpy_number(value: Any) -> bool:
    np = sys.modules.get("numpy")
    return np is not None and isinstance(value, np.generic) and value.dtype.kind in "biuf"


def _model_fields(value: Any) -> dict[str, Any] | None:
    # One level only: the codec comes back for what is inside, so that arrays stay arrays.
    if _is_model(value):
        return value.model_dump(mode="python", warnings=False)  # type: ignore[no-any-return]  # a model's fields
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _jsonable(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes have no form in JSON: annotate the value as bytes (base64), or use MessagePack")
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        stand_in = to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as error:
        raise TypeError(f"no form is known for {type(value).__name__}") from error
    refuse_non_finite(stand_in)
    return stand_in


def _non_finite(value: float) -> InvalidPayloadError:
    return InvalidPayloadError(f"JSON has no number for {value}: send null instead, or use MessagePack or an array")
