"""A model's parameters: named arrays with fixed dtypes and shapes, as one flat vector with a digest."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from skerry.errors import DataError
from skerry.learn.federated.wire.message import Message

Vector = NDArray[Any]
"""One-dimensional, float32 or float64."""

Dtype = Literal["float16", "float32", "float64"]


class TensorLayout(Message):
    """One named array: its dtype and shape."""

    name: str = Field(min_length=1)
    dtype: Dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Layout(Message):
    """Which arrays a model has, in which order; the vector is all of them, flattened, one behind the other."""

    tensors: tuple[TensorLayout, ...] = Field(min_length=1)

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Layout:
        """Return the layout of named arrays.

        Raises:
            DataError: they are no arrays by name, or one is not of floating-point numbers: what cannot be averaged does
                not belong here.
        """
        require_arrays(arrays)
        for name, array in arrays.items():
            if array.dtype.name not in ("float16", "float32", "float64"):
                raise DataError(
                    f"parameter {name!r} has dtype {array.dtype}; only float16, float32 and float64 can be averaged: "
                    "leave counters and tables out"
                )
        return cls(
            tensors=tuple(
                TensorLayout(name=name, dtype=array.dtype.name, shape=array.shape) for name, array in arrays.items()
            )
        )

    @property
    def size(self) -> int:
        """Number of elements of the vector."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the vector: float64 if any array is float64, else float32."""
        return np.dtype(self.dtype_name)

    @property
    def dtype_name(self) -> Literal["float32", "float64"]:
        """The name of that dtype; NumPy takes longer to say it than to read a small vector."""
        return "float64" if any(tensor.dtype == "float64" for tensor in self.tensors) else "float32"

    @property
    def digest(self) -> str:
        """SHA-256 of names, dtypes and shapes, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def join(self, arrays: Mapping[str, NDArray[Any]]) -> Vector:
        """Return named arrays as one new vector of this layout's dtype.

        Raises:
            DataError: an array is missing, strange, or has another dtype or shape; nothing is broadcast.
        """
        expected = [tensor.name for tensor in self.tensors]
        if sorted(arrays) != sorted(expected):
            missing = sorted(set(expected) - set(arrays))
            strange = sorted(set(arrays) - set(expected))
            raise DataError(f"parameters are not those of the model: missing {missing}, unknown {strange}")
        vector = np.empty(self.size, self.dtype)
        begin = 0
        for tensor in self.tensors:
            array = arrays[tensor.name]
            if array.dtype.name != tensor.dtype or array.shape != tensor.shape:
                raise DataError(
                    f"parameter {tensor.name!r} is {array.dtype} {array.shape}; "
                    f"the model has {tensor.dtype} {tensor.shape}"
                    + (f": return it .astype(np.{tensor.dtype})" if array.shape == tensor.shape else "")
                )
            vector[begin : begin + tensor.size] = array.reshape(-1)
            begin += tensor.size
        return vector

    def check_finite(self, vector: Vector, hint: str = "") -> None:
        """Refuse a vector of this layout with a number that is none.

        Args:
            vector: Of this layout.
            hint: What the message ends with.

        Raises:
            DataError: it holds NaN or infinity; the message names the first array that does.
        """
        if np.isfinite(vector).all():
            return
        for name, array in self.split(vector).items():
            if not (finite := np.isfinite(array)).all():
                first = array.reshape(-1)[np.argmin(finite)]
                raise DataError(
                    f"parameter {name!r}: {finite.size - np.count_nonzero(finite)} of its {finite.size} numbers are "
                    f"not finite, the first is {first}{hint}"
                )

    def split(self, vector: Vector) -> dict[str, NDArray[Any]]:
        """Return a vector as named arrays: views where the dtype is the vector's, else converted copies.

        Raises:
            DataError: the vector has another length.
        """
        if vector.shape != (self.size,):
            raise DataError(f"a vector of shape {vector.shape} does not fit a model of {self.size} parameters")
        arrays: dict[str, NDArray[Any]] = {}
        begin = 0
        for tensor in self.tensors:
            part = vector[begin : begin + tensor.size]
            arrays[tensor.name] = part.astype(tensor.dtype, copy=False).reshape(tensor.shape)
            begin += tensor.size
        return arrays


def require_arrays(arrays: object) -> None:
    """Refuse what is no model: arrays of NumPy, or of libraries with NumPy's dtypes, by name.

    Raises:
        DataError: it is none; the message says what it is instead.
    """
    if not isinstance(arrays, Mapping):
        raise DataError(
            f"a model is NumPy arrays by name, like {{'weights': array}}; this is a {type(arrays).__name__}"
        )
    if not arrays:
        raise DataError("a model is NumPy arrays by name, like {'weights': array}; there is none")
    for name, array in arrays.items():
        if not isinstance(name, str):
            raise DataError(f"a parameter is named {name!r}, a {type(name).__name__}: names are texts")
        if not isinstance(getattr(array, "dtype", None), np.dtype):
            kind = f"{type(array).__module__}.{type(array).__name__}".removeprefix("builtins.")
            raise DataError(f"parameter {name!r} is of type {kind}; make it an array of NumPy")


def digest_of(vector: Vector) -> str:
    """Return the SHA-256 of a vector's bytes in little-endian order, in hexadecimal."""
    return hashlib.sha256(
        np.ascontiguousarray(vector.astype(vector.dtype.newbyteorder("<"), copy=False)).data
    ).hexdigest()
