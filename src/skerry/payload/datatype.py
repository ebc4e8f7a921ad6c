"""The element types of the Open Inference Protocol, and arrays of them as JSON lists and as bytes.

What a body declares is never trusted with memory: an array is made of the elements that are there, and only then
compared with the shape that was declared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skerry.errors import InvalidPayloadError, MalformedBodyError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

BYTES = "BYTES"
MAX_DIMENSIONS = 32
LENGTH_BYTES = 4  # of one element of BYTES, little-endian, before the element itself

NUMPY_NAME: Mapping[str, str] = MappingProxyType(
    {
        "BOOL": "bool",
        **{f"UINT{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
        **{f"INT{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
        **{f"FP{bits}": f"float{bits}" for bits in (16, 32, 64)},
    }
)
DATATYPES = (*NUMPY_NAME, BYTES)
_DATATYPE = {name: datatype for datatype, name in NUMPY_NAME.items()}


def check_datatype(datatype: Any, *, where: str) -> str:
    """Return a datatype that this codec knows.

    Raises:
        MalformedBodyError: it is not one; the message lists those that are.
    """
    if datatype == "BF16":
        raise MalformedBodyError(f"{where}: BF16 is not supported, for NumPy has no such type: send FP32")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise MalformedBodyError(f"{where}: datatype {str(datatype)[:40]!r} is not one of {', '.join(DATATYPES)}")
    return datatype


def datatype_of(array: Array) -> str:
    """Return the datatype of an array's elements; text, bytes and objects are BYTES.

    Raises:
        InvalidPayloadError: the protocol has no word for them.
    """
    if array.dtype.kind in "OUS":
        return BYTES
    found = _DATATYPE.get(array.dtype.name)
    if found is None:
        raise InvalidPayloadError(
            f"an array of {array.dtype} cannot be sent: convert it to one of {', '.join(DATATYPES)}"
        )
    return found


def describe(datatype: str, shape: tuple[int | None, ...]) -> str:
    """Return ``FP32 of shape (any, 64)``, as messages put it."""
    lengths = ", ".join("any" if length is None else _number(length) for length in shape)
    return f"{datatype} of shape ({lengths}{',' if len(shape) == 1 else ''})"


def check_shape(shape: Any, *, where: str) -> tuple[int, ...]:
    """Return a declared shape.

    Raises:
        MalformedBodyError: it is no list of whole numbers from 0, or has more than `MAX_DIMENSIONS`.
    """
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise MalformedBodyError(f"{where}: the shape must be a list of at most {MAX_DIMENSIONS} lengths")
    if any(type(length) is not int or length < 0 for length in shape):
        raise MalformedBodyError(f"{where}: every length of the shape must be a whole number from 0")
    return tuple(shape)


def flatten(data: Any, *, where: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return the elements of nested lists in row-major order, and the shape that the nesting has.

    Args:
        data: Lists of lists of ... elements; an element alone has the shape ``()``.
        where: What it is, for messages.

    Raises:
        InvalidPayloadError: lists beside each other differ in length or depth, or nest too deeply.
    """
    if type(data) not in _NESTS:
        return [data], ()
    level, shape = data, [len(data)]
    while not _NESTS.isdisjoint(kinds := set(map(type, level))):
        lengths = set(map(len, level)) if kinds <= _NESTS else set()
        if len(lengths) != 1:
            raise InvalidPayloadError(f"{where}: lists of different lengths or depths make no array", field=where)
        if len(shape) == MAX_DIMENSIONS:
            raise InvalidPayloadError(f"{where}: lists nest more than {MAX_DIMENSIONS} deep", field=where)
        level = list(chain.from_iterable(level))
        shape.append(lengths.pop())
    return level, tuple(shape)


def array_of(elements: list[Any], datatype: str, *, where: str) -> Array:
    """Return the one-dimensional array of decoded elements; of BYTES an array of ``bytes`` objects.

    Whole numbers do for floats. Nothing else is converted: text is no number, and ``true`` is none either.

    Raises:
        InvalidPayloadError: an element is of another kind, or does not fit the datatype.
    """
    import numpy as np

    kinds = set(map(type, elements))
    if datatype == BYTES:
        _check_kinds(kinds, (str, bytes), datatype, where=where)
        array = np.empty(len(elements), dtype=object)
        array[:] = [_to_bytes(element, where=where) for element in elements]
        return array
    wanted = np.dtype(NUMPY_NAME[datatype])
    fitting: tuple[type, ...] = {"b": (bool, np.bool_), "f": (int, float, np.number)}.get(
        wanted.kind, (int, np.integer)
    )
    _check_kinds(kinds, fitting, datatype, where=where)
    if not elements:
        return np.empty(0, dtype=wanted)
    if wanted.kind in "iu":
        bounds = np.iinfo(wanted)
        _check_range(min(elements), max(elements), bounds.min, bounds.max, datatype, where=where)
    try:
        with np.errstate(over="ignore"):
            array = np.array(elements, dtype=wanted)
    except OverflowError:
        raise _too_large("a number", datatype, where=where) from None
    if wanted.kind == "f":
        for at in np.flatnonzero(np.isinf(array)):
            if not math.isinf(elements[at]):
                raise _too_large(str(elements[at]), datatype, where=where)
    return array


def view_bytes(body: bytes, start: int, size_bytes: int, datatype: str, shape: tuple[int, ...], *, where: str) -> Array:
    """Return the array that a part of a body holds; a view of it, except for BYTES.

    Args:
        body: The whole body.
        start: Where the part begins; it lies within the body.
        size_bytes: Its length.
        datatype: Of the elements; little-endian, in row-major order.
        shape: As declared.
        where: What it is, for messages.

    Raises:
        InvalidPayloadError: the part is not as long as the shape says.
        MalformedBodyError: the elements of BYTES, or of BOOL, are not of their form.
    """
    import numpy as np

    if datatype == BYTES:
        elements = _split_bytes(body[start : start + size_bytes], where=where)
        array = np.empty(len(elements), dtype=object)
        array[:] = elements
        return shaped(array, datatype, shape, where=where)
    kind = np.dtype(NUMPY_NAME[datatype]).newbyteorder("<")
    expected_bytes = math.prod(shape) * kind.itemsize
    if expected_bytes != size_bytes:
        raise InvalidPayloadError(
            f"{where}: {describe(datatype, shape)} takes {_number(expected_bytes)} bytes, but there are {size_bytes}",
            field=where,
        )
    if not size_bytes:
        return shaped(np.empty(0, dtype=kind), datatype, shape, where=where)
    array = np.frombuffer(body, dtype=kind, count=size_bytes // kind.itemsize, offset=start)
    if datatype == "BOOL" and array.view(np.uint8).max() > 1:
        raise MalformedBodyError(f"{where}: each byte of BOOL must be 0 or 1")
    return shaped(array.astype(kind.newbyteorder("="), copy=False), datatype, shape, where=where)


def shaped(array: Array, datatype: str, shape: tuple[int, ...], *, where: str) -> Array:
    """Return an array in the shape that was declared for it.

    Raises:
        InvalidPayloadError: it has another number of elements.
    """
    wanted = math.prod(shape)
    if array.size != wanted:
        raise InvalidPayloadError(
            f"{where}: {describe(datatype, shape)} has {_number(wanted)} elements, but there are {array.size}",
            field=where,
        )
    try:
        return array.reshape(shape)
    except (ValueError, OverflowError) as error:  # no elements, and lengths that no array has
        raise InvalidPayloadError(f"{where}: {describe(datatype, shape)}: {error}", field=where) from error


def to_bytes(array: Array) -> bytes:
    """Return the elements of an array as the binary extension writes them."""
    if datatype_of(array) != BYTES:
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes(order="C")
    parts = []
    for element in array.ravel().tolist():
        content = element if isinstance(element, bytes) else str(element).encode()
        parts.append(len(content).to_bytes(LENGTH_BYTES, "little"))
        parts.append(content)
    return b"".join(parts)


def to_json(array: Array, *, where: str) -> Any:
    """Return the elements of an array in a form that orjson writes as a flat list (``OPT_SERIALIZE_NUMPY``).

    Raises:
        InvalidPayloadError: JSON has no word for one of them: NaN, an infinity, bytes that are not UTF-8.
    """
    import numpy as np

    flat = array.ravel()
    if datatype_of(array) == BYTES:
        return [_to_text(element, where=where) for element in flat.tolist()]
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise InvalidPayloadError(
            f"{where} holds NaN or an infinity, which JSON has no number for: ask for it as binary data", field=where
        )
    wanted = "float32" if flat.dtype == np.float16 else flat.dtype.newbyteorder("=")
    return np.ascontiguousarray(flat, dtype=wanted)


_NESTS = frozenset({list, tuple})
_WORDS: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    type(None): "null",
    dict: "an object",
    int: "a number",
    float: "a number with a fraction",
}


def _check_kinds(kinds: set[type], fitting: tuple[type, ...], datatype: str, *, where: str) -> None:
    for kind in kinds:
        # bool is an int to Python
        if not issubclass(kind, fitting) or (kind is bool and bool not in fitting):
            given = _WORDS.get(kind, kind.__name__)
            raise InvalidPayloadError(f"{where}: expected {datatype}, given {given}", field=where)


def _check_range(low: int, high: int, least: int, most: int, datatype: str, *, where: str) -> None:
    if low < least or high > most:
        raise _too_large(str(low if low < least else high)[:40], datatype, where=where)


def _too_large(number: str, datatype: str, *, where: str) -> InvalidPayloadError:
    return InvalidPayloadError(f"{where}: {number} does not fit {datatype}", field=where)


def _split_bytes(part: bytes, *, where: str) -> list[bytes]:
    elements: list[bytes] = []
    at, end = 0, len(part)
    while at < end:
        begin = at + LENGTH_BYTES
        at = begin + int.from_bytes(part[at:begin], "little")
        if begin > end or at > end:
            raise MalformedBodyError(f"{where}: element {len(elements)} of BYTES is longer than what is there")
        elements.append(part[begin:at])
    return elements


def _to_bytes(element: str | bytes, *, where: str) -> bytes:
    try:
        return element.encode() if isinstance(element, str) else bytes(element)
    except UnicodeEncodeError as error:
        raise InvalidPayloadError(f"{where}: text that is no Unicode: {error.reason}", field=where) from error


def _to_text(element: Any, *, where: str) -> str:
    try:
        return element.decode() if isinstance(element, bytes) else str(element)
    except UnicodeDecodeError as error:
        raise InvalidPayloadError(
            f"{where} holds bytes that are not UTF-8, which JSON has no form for: ask for it as binary data",
            field=where,
        ) from error


def _number(value: int) -> str:
    # A hostile shape may lead to more digits than Python agrees to print.
    return str(value) if value < 2**63 else "2**63 or more"
