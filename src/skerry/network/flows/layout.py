"""How the records of a template lie in memory: a NumPy dtype that reads a whole set at once."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from skerry.errors import DataError
from skerry.network.flows.fields import ADDRESS_6, CANDIDATES, OPTIONS, REVERSE, REVERSED, fits

# The length that says that a field carries its own (RFC 7011, 7).
VARIABLE = 0xFFFF

# Templates of exporters have 10 to 60 fields. What is beyond this is an attack on the collector's memory.
MAX_FIELDS = 256

_PAIR = struct.Struct(">HH")
_ENTERPRISE = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a template: the element (of an enterprise, 0 for IANA's own) and its length in bytes."""

    enterprise: int
    element: int
    length: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Layout:
    """A compiled template.

    Args:
        dtype: Reads one record, after fields of variable length were taken out of it.
        columns: The names of the fields that ``dtype`` has.
        odd: Those of 3, 5, 6 or 7 bytes, which NumPy has no number for.
        segments: For records with fields of variable length: the lengths of the runs of fixed fields between them, so
            one more than there are such fields. Empty where the length of a record is fixed.
        min_bytes: The length of the shortest record.
        is_flow: Whether records tell of a flow: an address, and an amount.
    """

    dtype: np.dtype[Any]
    columns: frozenset[str]
    odd: frozenset[str]
    segments: tuple[int, ...]
    min_bytes: int
    is_flow: bool


def read_fields(data: bytes, at: int, count: int, *, enterprises: bool) -> tuple[tuple[Field, ...], int]:
    """Read the field specifiers of a template.

    Args:
        data: Holds the specifiers.
        at: Where the first begins.
        count: How many specifiers there are.
        enterprises: Whether the upper bit of an element announces an enterprise number (IPFIX), or not (NetFlow v9).

    Returns:
        The fields, and where the specifiers end.

    Raises:
        DataError: The specifiers do not fit into ``data``, or are too many.
    """
    if count > MAX_FIELDS:
        raise DataError(f"a template of {count} fields; at most {MAX_FIELDS} are read", reason="template_too_large")
    fields: list[Field] = []
    for _ in range(count):
        if at + 4 > len(data):
            raise DataError(f"a template of {count} fields ends after {len(fields)}", reason="truncated_template")
        element, length = _PAIR.unpack_from(data, at)
        at += 4
        enterprise = 0
        if enterprises and element & 0x8000:
            if at + 4 > len(data):
                raise DataError("a template ends within an enterprise number", reason="truncated_template")
            (enterprise,) = _ENTERPRISE.unpack_from(data, at)
            element, at = element & 0x7FFF, at + 4
        fields.append(Field(enterprise, element, length))
    return tuple(fields), at


@lru_cache(maxsize=256)
def compile_layout(fields: tuple[Field, ...], *, options: bool = False) -> Layout:
    """Turn the fields of a template into a layout.

    Args:
        fields: In the order of the template, scope fields first.
        options: Whether it describes options records, not flows.

    Raises:
        DataError: A record would have no bytes: a set would hold endlessly many.
    """
    offsets, segments, fixed = _place(fields)
    min_bytes = fixed + len(segments) - 1
    if min_bytes == 0:
        raise DataError("the records of a template have no bytes; it is ignored", reason="empty_template")
    names: list[str] = []
    formats: list[Any] = []
    places: list[int] = []
    odd = set()
    for name, i in _choose(fields, options):
        length = fields[i].length
        names.append(name)
        places.append(offsets[i])
        formats.append(_format(name, length))
        if length not in {1, 2, 4, 8, ADDRESS_6}:
            odd.add(name)
    dtype = np.dtype({"names": names, "formats": formats, "offsets": places, "itemsize": max(fixed, 1)})
    columns = frozenset(names)
    return Layout(
        dtype=dtype,
        columns=columns,
        odd=frozenset(odd),
        segments=tuple(segments) if len(segments) > 1 else (),
        min_bytes=min_bytes,
        is_flow=_is_flow(columns),
    )


def _is_flow(columns: frozenset[str]) -> bool:
    has_address = bool(columns & {"source_4", "source_6", "destination_4", "destination_6"})
    return has_address and bool(columns & {"packets", "bytes"})


def _place(fields: tuple[Field, ...]) -> tuple[list[int], list[int], int]:
    """Return each field's offset in a record without variable fields, the runs between these, and the length."""
    offsets, segments, at = [], [0], 0
    for field in fields:
        offsets.append(at)
        if field.length == VARIABLE:
            segments.append(0)
            continue
        at += field.length
        segments[-1] += field.length
    return offsets, segments, at


def _choose(fields: tuple[Field, ...], options: bool) -> Iterator[tuple[str, int]]:
    """Yield the columns that the fields can fill, each with the number of its field."""
    first: dict[tuple[int, int], int] = {}
    for i, field in enumerate(fields):
        if field.length != VARIABLE:
            first.setdefault((field.enterprise, field.element), i)
    tables: list[tuple[int, Mapping[str, tuple[int, ...]]]] = [(0, OPTIONS)]
    if not options:
        tables = [(0, CANDIDATES), (REVERSE, REVERSED)]
    for enterprise, table in tables:
        for name, elements in table.items():
            for element in elements:
                i = first.get((enterprise, element), -1)
                if i >= 0 and fits(name, fields[i].length):
                    yield name, i
                    break


def _format(name: str, length: int) -> Any:
    if name == "probability":
        return f">f{length}"
    if length == ADDRESS_6:
        return (">u8", (2,))
    if length in {1, 2, 4, 8}:
        return f">u{length}"
    return ("u1", (length,))
