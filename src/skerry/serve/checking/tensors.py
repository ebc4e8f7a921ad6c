"""Whether a constant tensor holds what its shape declares, inside the file or beside it."""

from __future__ import annotations

import math
import os
import stat
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from skerry.errors import ModelRejectedError

# Names that a published version uses itself.
RESERVED = frozenset({"model.onnx", "manifest.json", "sample.json"})
_LONGEST_PATH = 255


def check_tensor(tensor: Any, where: str, folder: Path) -> str | None:
    """Judge a tensor; return the file that holds its data when that is beside the model, relative to the folder.

    Args:
        tensor: The ``onnx.TensorProto``.
        where: What it is in the model, for messages.
        folder: Where the model's file lies.

    Raises:
        ModelRejectedError: its data are missing, too few, too many, or somewhere they must not be.
    """
    bits = _bits().get(tensor.data_type)
    if bits is None and tensor.data_type != tensor.STRING:
        raise ModelRejectedError(f"{where} is of element type {tensor.data_type}, which this onnx does not know")
    if any(length < 0 for length in tensor.dims):
        raise ModelRejectedError(f"{where} has a negative length in its shape {list(tensor.dims)[:8]}")
    elements = math.prod(tensor.dims)
    if tensor.data_location == tensor.EXTERNAL:
        return _check_external(tensor, where, folder, _bytes(elements, bits))
    if tensor.external_data:
        raise ModelRejectedError(f"{where} names an external file and says that its data are inside; export it again")
    declared, held, unit = _count(tensor, elements, bits)
    if declared != held:
        raise ModelRejectedError(
            f"{where} declares the shape {_short(tensor.dims)}, which takes {declared:,} {unit}, and holds {held:,}: "
            "the file is broken, or made to exhaust memory; export it again"
        )
    return None


def _count(tensor: Any, elements: int, bits: int | None) -> tuple[int, int, str]:
    """Return how much the shape asks for, how much there is, and of what."""
    if bits is None:
        return elements, len(tensor.string_data), "texts"
    if tensor.HasField("raw_data"):
        return _bytes(elements, bits), len(tensor.raw_data), "bytes"
    in_complex = elements * 2  # a complex element is two numbers
    declared, held = {
        tensor.FLOAT: (elements, tensor.float_data),
        tensor.COMPLEX64: (in_complex, tensor.float_data),
        tensor.DOUBLE: (elements, tensor.double_data),
        tensor.COMPLEX128: (in_complex, tensor.double_data),
        tensor.INT64: (elements, tensor.int64_data),
        tensor.UINT32: (elements, tensor.uint64_data),
        tensor.UINT64: (elements, tensor.uint64_data),
        # Elements of less than a byte are packed, the others take one number each.
    }.get(tensor.data_type, (_bytes(elements, min(bits, 8)), tensor.int32_data))
    return declared, len(held), "numbers"


def _check_external(tensor: Any, where: str, folder: Path, expected_bytes: int) -> str:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = str(entries.get("location", ""))
    path = check_location(location, where, folder)
    if tensor.data_type == tensor.STRING:
        raise ModelRejectedError(f"{where} has texts in the external file {location!r}; only numbers can be there")
    size_bytes = path.lstat().st_size
    offset = _whole(entries.get("offset", "0"), f"{where}: the offset in {location!r}")
    length = _whole(entries.get("length", str(expected_bytes)), f"{where}: the length in {location!r}")
    if length != expected_bytes:
        raise ModelRejectedError(
            f"{where} declares the shape {_short(tensor.dims)}, which takes {expected_bytes:,} bytes, and {length:,} "
            f"in the external file {location!r}; export the model again"
        )
    if offset + length > size_bytes:
        raise ModelRejectedError(
            f"{where} is at bytes {offset:,} to {offset + length:,} of the external file {location!r}, which has "
            f"{size_bytes:,}: the file was cut off, or is not the one that belongs to the model"
        )
    return location


def check_location(location: str, where: str, folder: Path) -> Path:
    """Return the path of an external file that lies below the model's folder, is a plain file and no link.

    Raises:
        ModelRejectedError: it is somewhere else, is missing, or is no plain file.
    """
    path = PurePosixPath(location)
    outside = path.is_absolute() or ".." in path.parts or "\\" in location or ":" in location
    if not location or location != str(path) or outside or not location.isprintable() or len(location) > _LONGEST_PATH:
        raise ModelRejectedError(
            f"{where} has its data at {location[:_LONGEST_PATH]!r}: external data must lie below the model's folder, "
            "with a plain relative path without '..'"
        )
    if location in RESERVED or location.startswith("."):
        raise ModelRejectedError(
            f"{where} has its data in {location!r}, a name that models cannot use; rename the file"
        )
    current = folder
    for part in path.parts:
        current = current / part
        try:
            mode = current.lstat().st_mode
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise ModelRejectedError(f"{where} has its data in {location!r}, which cannot be read: {reason}") from error
        if stat.S_ISLNK(mode):
            raise ModelRejectedError(
                f"{where} has its data in {location!r}, where {part!r} is a symbolic link; copy the file"
            )
    if not stat.S_ISREG(mode):
        raise ModelRejectedError(f"{where} has its data in {location!r}, which is no plain file")
    return current


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ModelRejectedError(f"{what} is {text[:40]!r}; it must be a whole number from 0")
    return int(text)


def _bytes(elements: int, bits: int | None) -> int:
    return -(-elements * (bits or 0) // 8)


def _short(dims: Any) -> list[int]:
    return list(dims)[:8]


@cache
def _bits() -> dict[int, int]:
    """Return the size of an element in bits, by the number of its type."""
    from onnx import TensorProto

    by_name = {
        **dict.fromkeys(("COMPLEX128",), 128),
        **dict.fromkeys(("DOUBLE", "INT64", "UINT64", "COMPLEX64"), 64),
        **dict.fromkeys(("FLOAT", "INT32", "UINT32"), 32),
        **dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 16),
        **dict.fromkeys(("INT8", "UINT8", "BOOL", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), 8),
        **dict.fromkeys(("FLOAT8E8M0",), 8),
        **dict.fromkeys(("INT4", "UINT4", "FLOAT4E2M1"), 4),
        **dict.fromkeys(("INT2", "UINT2"), 2),
    }
    return {TensorProto.DataType.Value(name): bits for name, bits in by_name.items() if hasattr(TensorProto, name)}
