"""Packing: a vector to bytes and back, with the error that a coding makes fed back into the next round."""

from __future__ import annotations

import hashlib
from typing import get_args

import numpy as np

from skerry.errors import DataError, SpecError
from skerry.learn.federated.wire.coding import floats, int8, topk
from skerry.learn.federated.wire.coding.fault import bad_vector, check_finite
from skerry.learn.federated.wire.messages import Coding, Packed
from skerry.learn.federated.wire.parameters import Vector


def pack(
    vector: Vector, coding: Coding, *, residual: Vector | None = None, keep_ratio: float = 0.05
) -> tuple[Packed, Vector | None]:
    """Write a vector, and return it with what the coding lost.

    What was lost is given as ``residual`` the next time. It is then added before coding, so over the rounds everything
    arrives (error feedback): what is decoded plus what is returned is exactly ``vector + residual``. Who does not send
    again leaves it.

    Args:
        vector: One-dimensional, float32 or float64, finite.
        coding: How to write it.
        residual: What the pack before this one lost; same dtype and length.
        keep_ratio: Of ``top-k``: share of the numbers that is kept, above 0 and at most 1.

    Returns:
        What travels, and what it does not hold, in the vector's dtype; none when the coding loses nothing.

    Raises:
        DataError: the vector is not finite, not one-dimensional, not float32 or float64, or too large for the coding.
        SpecError: there is no such coding, or ``keep_ratio`` is out of range.

    Example:
        >>> import numpy as np
        >>> packed, lost = pack(np.array([0.5, -2.0], np.float32), "int8")
        >>> unpack(packed) + lost
        array([ 0.5, -2. ], dtype=float32)

    Source: Seide, Fu, Droppo, Li, Yu: 1-Bit Stochastic Gradient Descent, Interspeech 2014 (error feedback); Stich,
        Cordonnier, Jaggi: Sparsified SGD with Memory, NeurIPS 2018 (top-k); Karimireddy, Rebjock, Stich, Jaggi: Error
        Feedback Fixes SignSGD, ICML 2019 (any coding that loses little enough).
    """
    if not 0 < keep_ratio <= 1:
        raise SpecError(f"keep_ratio is {keep_ratio}; it is above 0 and at most 1")
    total = _total(vector, residual)
    data: bytes
    lost: Vector | None
    if coding == "int8":
        data, lost = int8.encode(total)
    elif coding == "top-k":
        data, lost = topk.encode(total, keep_ratio)
    elif coding in get_args(Coding):
        data, lost = floats.encode(total, coding)
    else:
        raise SpecError(f"there is no coding {coding!r}; there are {', '.join(get_args(Coding))}")
    return Packed(coding=coding, size=total.size, data=data, digest=hashlib.sha256(data).hexdigest()), lost


def unpack(packed: Packed, dtype: str = "float32") -> Vector:
    """Read a vector that came over the network.

    Nothing is allocated for a size that the bytes do not bear out.

    Args:
        packed: What came.
        dtype: ``float32`` or ``float64``, as the model's layout says.

    Returns:
        A new, finite vector of exactly ``packed.size`` numbers.

    Raises:
        DataError: the bytes are damaged, of a wrong size, or hold what is no finite number; ``details["fault"]`` says
            which: ``damaged``, ``wrong_size`` or ``not_finite``.
    """
    if hashlib.sha256(packed.data).hexdigest() != packed.digest:
        raise bad_vector(
            "damaged", "the SHA-256 of a packed vector's bytes is not its digest: it was altered on the way"
        )
    kind = np.dtype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows or is NaN is refused below, with its place
        if packed.coding == "int8":
            vector = int8.decode(packed.data, packed.size, kind)
        elif packed.coding == "top-k":
            vector = topk.decode(packed.data, packed.size, kind)
        else:
            vector = floats.decode(packed.data, packed.size, packed.coding, kind)
    check_finite(vector, f"a vector in {packed.coding}")
    return vector


def _total(vector: Vector, residual: Vector | None) -> Vector:
    if vector.ndim != 1 or vector.dtype.kind != "f" or vector.dtype.itemsize not in (4, 8):
        raise DataError(f"a vector is float32 or float64 and has one dimension; this is {vector.dtype} {vector.shape}")
    if residual is None:
        total = vector
    elif residual.shape != vector.shape or residual.dtype != vector.dtype:
        raise DataError(
            f"the residual is {residual.dtype} {residual.shape} and the vector {vector.dtype} {vector.shape}: "
            "it is of another model"
        )
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            total = vector + residual
    check_finite(total, "a vector that is to be packed")
    return total
