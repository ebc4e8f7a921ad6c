"""NumPy arrays on the wire: an element type, a shape and the bytes; never a pickle.

NumPy is optional: these functions import it when an array is really there.
"""

from __future__ import annotations

import base64
import binascii
import math
from typing import TYPE_CHECKING, Any

from skerry.errors import InvalidPayloadError, MalformedBodyError

if TYPE_CHECKING:
    import numpy as np

# An allow-list, because np.dtype() also reads structured and object types from text.
DTYPES = frozenset(
    [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    ]
)
MAX_DIMENSIONS = 32


def pack_array(array: np.ndarray[Any, Any]) -> tuple[str, list[int], bytes]:
    """Return the element type, the shape and the C-order little-endian bytes of an array.

    Raises:
        InvalidPayloadError: its elements are objects, text, dates or records.
    """
    if array.dtype.name not in DTYPES:
        raise InvalidPayloadError(
            f"an array of {array.dtype} cannot be sent: convert it to one of {', '.join(sorted(DTYPES))}"
        )
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return array.dtype.name, list(array.shape), little.tobytes(order="C")


def unpack_array(dtype: Any, shape: Any, data: Any) -> np.ndarray[Any, Any]:
    """Return the array that :func:`pack_array` took apart; the caller may write to it.

    Args:
        dtype: One of `DTYPES`.
        shape: Lengths of the dimensions, at most `MAX_DIMENSIONS` of them.
        data: Exactly the bytes of that many elements, C-order, little-endian.

    Raises:
        MalformedBodyError: the three do not fit together.
    """
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise MalformedBodyError(f"array: dtype {str(dtype)[:40]!r} is not one of {', '.join(sorted(DTYPES))}")
    if not isinstance(shape, list | tuple) or len(shape) > MAX_DIMENSIONS:
        raise MalformedBodyError(f"array: the shape must be a list of at most {MAX_DIMENSIONS} lengths")
    if any(type(length) is not int or length < 0 for length in shape):
        raise MalformedBodyError("array: every length of the shape must be a whole number from 0")
    if not isinstance(data, bytes):
        raise MalformedBodyError(f"array: the data must be bytes, not {type(data).__name__}")
    try:
        import numpy as np
    except ImportError as error:
        raise MalformedBodyError("the body holds an array, and numpy is not installed here") from error
    kind = np.dtype(dtype).newbyteorder("<")
    expected_bytes = math.prod(shape) * kind.itemsize
    if len(data) != expected_bytes:
        expected = f"{dtype} of shape {_describe(shape)} takes {_number(expected_bytes)} bytes"
        raise MalformedBodyError(f"array: {expected}, but there are {len(data)}")
    try:
        # A bytearray, because handlers (and compiled extensions) expect an array that they may write to.
        flat = np.frombuffer(bytearray(data), dtype=kind)
        return flat.reshape(shape).astype(np.dtype(dtype), copy=False)
    except (ValueError, OverflowError) as error:
        raise MalformedBodyError(f"array: shape {_describe(shape)}: {error}") from error


def to_json_form(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Return the JSON form of an array: ``{"dtype": ..., "shape": [...], "data": "<base64>"}``."""
    dtype, shape, data = pack_array(array)
    return {"dtype": dtype, "shape": shape, "data": base64.b64encode(data).decode("ascii")}


def from_json_form(form: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return the array of a JSON form.

    Raises:
        MalformedBodyError: it is not the form of an array.
    """
    data = form.get("data")
    if isinstance(data, str):
        try:
            data = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise MalformedBodyError(f"array: the data is not base64: {error}") from error
    return unpack_array(form.get("dtype"), form.get("shape"), data)


def is_json_form(value: Any) -> bool:
    """Return whether a decoded value has the three members of an array's JSON form, and no others."""
    return isinstance(value, dict) and value.keys() == {"dtype", "shape", "data"}


def _describe(shape: list[Any] | tuple[Any, ...]) -> str:
    return "(" + ", ".join(map(_number, shape)) + ")"


def _number(value: int) -> str:
    # A hostile shape may lead to more digits than Python agrees to print.
    return str(value) if value < 2**63 else "2**63 or more"
