"""Vectors as they travel when nothing is left out of them: the plain codings."""

from __future__ import annotations

import hashlib

import numpy as np

from skerry.errors import DataError
from skerry.learn.federated.messages import Packed
from skerry.learn.federated.parameters import Vector


def pack_plain(vector: Vector) -> Packed:
    """Return a vector as it travels, as float32."""
    data = np.ascontiguousarray(vector, "<f4").tobytes()
    return Packed(coding="float32", size=vector.size, data=data, digest=hashlib.sha256(data).hexdigest())


def unpack_plain(packed: Packed) -> Vector:
    """Return the vector that `pack_plain` packed.

    Raises:
        DataError: it is damaged, or written in another coding.
    """
    if packed.coding != "float32" or len(packed.data) != 4 * packed.size:
        raise DataError(f"{len(packed.data)} bytes of {packed.coding} are no {packed.size} numbers of float32")
    if hashlib.sha256(packed.data).hexdigest() != packed.digest:
        raise DataError("a vector does not have its digest: it was damaged on the way")
    return np.frombuffer(packed.data, "<f4").astype(np.float32)
