"""Lengths of updates: how long one is, and how it is made shorter."""

from __future__ import annotations

import math

import numpy as np

from skerry.errors import DataError, SpecError
from skerry.learn.federated.wire.parameters import Vector

CHUNK = 1 << 16


def norm_of(vector: Vector) -> float:
    """Return the L2 norm, summed in float64 chunk by chunk; infinite or NaN when the vector is.

    The numbers are divided by the largest first: the square of 1e200 is beyond float64, and that of 1e-200 is 0.
    """
    largest = float(
        np.max([np.abs(part).max() for part in _chunks(vector)], initial=0.0)
    )  # NaN wins, as max() has it not
    if largest == 0 or not math.isfinite(largest):
        return largest
    squares = 0.0
    for part in _chunks(vector):
        scaled = part.astype(np.float64) / largest
        squares += float(np.square(scaled, out=scaled).sum())
    return largest * math.sqrt(squares)


def clip(delta: Vector, norm: float) -> Vector:
    """Return an update that is no longer than a norm: itself, or a new vector that is scaled down.

    So no client moves the model further than the others may, whatever it sends.

    Args:
        delta: float32 or float64, finite.
        norm: Largest L2 norm, above 0.

    Returns:
        A vector in the dtype of ``delta`` whose norm, with all rounding, is at most ``norm``.

    Raises:
        DataError: the update is not finite.
        SpecError: ``norm`` is not a finite number above 0.

    Example:
        >>> clip(np.array([3.0, 4.0]), 2.5).round(6)
        array([1.5, 2. ])

    Source: Sun, Kairouz, Suresh, McMahan: Can You Really Backdoor Federated Learning?, 2019 (norm thresholding).
    """
    if not (math.isfinite(norm) and norm > 0):
        raise SpecError(f"an update cannot be clipped to a norm of {norm}; it is a finite number above 0")
    length = norm_of(delta)
    if not math.isfinite(length):
        raise DataError("an update that is not finite, or longer than float64 can say, cannot be clipped")
    if length <= norm:
        return delta
    # Each number is rounded once, to the nearest: a hair less than the quotient keeps the result within the norm.
    share = norm / length * (1 - 2 * float(np.finfo(delta.dtype).eps))
    clipped = np.empty_like(delta)
    for begin in range(0, delta.size, CHUNK):
        clipped[begin : begin + CHUNK] = delta[begin : begin + CHUNK].astype(np.float64) * share
    return clipped


def _chunks(vector: Vector) -> list[Vector]:
    return [vector[begin : begin + CHUNK] for begin in range(0, vector.size, CHUNK)]
