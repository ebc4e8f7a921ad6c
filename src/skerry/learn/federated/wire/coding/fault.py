"""What can be wrong with a coded vector."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from skerry.errors import DataError
from skerry.learn.federated.wire.parameters import Vector

Fault = Literal["damaged", "wrong_size", "not_finite"]
"""Bytes that make no sense; too few or too many; a number that is none, or too large."""


def bad_vector(fault: Fault, message: str) -> DataError:
    """Return the error of a vector that cannot be coded or decoded; ``details["fault"]`` is for programs."""
    return DataError(message, fault=fault)


def check_length(data: bytes, length_bytes: int, coding: str, size: int) -> None:
    """Refuse bytes of another length than the coding has for a vector.

    Raises:
        DataError: they are too few or too many.
    """
    if len(data) != length_bytes:
        raise bad_vector(
            "wrong_size", f"{size} numbers in {coding} are {length_bytes} bytes, not {len(data)}: it was cut or padded"
        )


def check_finite(vector: Vector, what: str) -> None:
    """Refuse a vector with a number that is none.

    Raises:
        DataError: it holds NaN or infinity; the message says where the first is.
    """
    finite = np.isfinite(vector)
    if not finite.all():
        place = int(np.argmin(finite))
        raise bad_vector("not_finite", f"{what}: number {place} of {vector.size} is {_name(vector[place])}")


def _name(number: Any) -> str:
    return "NaN" if np.isnan(number) else "infinite"
