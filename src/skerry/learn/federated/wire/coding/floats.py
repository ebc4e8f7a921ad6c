"""Floating-point numbers, little-endian, one behind the other."""

from __future__ import annotations

from typing import Literal

import numpy as np

from skerry.learn.federated.wire.coding.fault import bad_vector, check_length
from skerry.learn.federated.wire.parameters import Vector

Width = Literal["float16", "float32", "float64"]


def encode(vector: Vector, width: Width) -> tuple[bytes, Vector | None]:
    """Return a finite vector's bytes, and what they lost; none when they lost nothing.

    A number beyond the largest of ``width`` (65,504 in float16) is refused, not cut: a model with a cut parameter would
    be another model, and nobody would know.

    Raises:
        DataError: a number is too large for ``width``.
    """
    dtype = np.dtype(width)
    if dtype.itemsize >= vector.dtype.itemsize:
        return vector.astype(dtype.newbyteorder("<"), copy=False).tobytes(), None
    with np.errstate(over="ignore"):
        narrow = vector.astype(dtype)
    finite = np.isfinite(narrow)
    if not finite.all():
        place = int(np.argmin(finite))
        raise bad_vector(
            "not_finite",
            f"number {place} of {vector.size} is {vector[place]:.3g}, which {width} cannot hold: take a wider coding",
        )
    return narrow.astype(dtype.newbyteorder("<"), copy=False).tobytes(), vector - narrow


def decode(data: bytes, size: int, width: Width, dtype: np.dtype[np.floating]) -> Vector:
    """Return the vector as a new array of ``dtype``.

    Raises:
        DataError: the bytes are too few or too many.
    """
    wire = np.dtype(width).newbyteorder("<")
    check_length(data, size * wire.itemsize, width, size)
    return np.frombuffer(data, wire).astype(dtype)
