"""INT8 in blocks: each number as -127 to 127, times the scale of its block.

Layout: the scales of all blocks as float32, then one signed byte per number. A block has 64 numbers (the last may have
fewer), so a long vector takes 0.266 of its float32 bytes.

Scales are float32, not float16: the updates of a model that has nearly converged are about 1e-5, so a scale would be
near 1e-7, where float16 has one or two bits left.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.wire.coding.fault import bad_vector, check_length
from skerry.learn.federated.wire.parameters import Vector

BLOCK = 64
SCALE = np.dtype("<f4")
LARGEST = np.finfo(np.float32).max
LARGEST_SCALE = np.nextafter(np.float32(float(LARGEST) / 127), np.float32(0))  # 127 of it are still finite


def encode(vector: Vector) -> tuple[bytes, Vector]:
    """Return a finite vector's bytes, and what they lost: at most half a step, which is the block's scale, per number.

    Raises:
        DataError: a number is larger than float32 has.
    """
    peaks = _peaks(vector)
    if peaks.size and peaks.max() > LARGEST:
        raise bad_vector("not_finite", f"a number is {peaks.max():.3g}, which INT8 cannot hold: its scales are float32")
    scales = _scales(peaks)
    steps = vector.copy()
    _by_block(steps, np.where(scales > 0, scales, np.float32(1)), np.divide)
    np.rint(steps, out=steps)
    levels = steps.astype(np.int8)
    _by_block(steps, scales, np.multiply)
    lost = np.subtract(vector, steps, out=steps)
    return b"".join((scales.astype(SCALE, copy=False).tobytes(), levels.tobytes())), lost


def decode(data: bytes, size: int, dtype: np.dtype[np.floating]) -> Vector:
    """Return the vector as a new array of ``dtype``.

    Raises:
        DataError: the bytes are too few or too many, or a scale is negative or no number.
    """
    blocks = -(-size // BLOCK)
    check_length(data, blocks * SCALE.itemsize + size, "int8", size)
    scales = np.frombuffer(data, SCALE, blocks).astype(np.float32)
    good = np.isfinite(scales)
    if not good.all():
        raise bad_vector("not_finite", f"the scale of block {int(np.argmin(good))} of {blocks} is no number")
    if blocks and scales.min() < 0:
        raise bad_vector("damaged", f"the scale of block {int(np.argmin(scales))} of {blocks} is negative")
    vector = np.frombuffer(data, np.int8, size, blocks * SCALE.itemsize).astype(dtype)
    with np.errstate(over="ignore"):  # what overflows is refused by the caller, with its place
        _by_block(vector, scales, np.multiply)
    return vector


def _peaks(vector: Vector) -> NDArray[np.float64]:
    """Return each block's largest magnitude."""
    return np.maximum.reduceat(np.abs(vector), np.arange(0, vector.size, BLOCK)).astype(np.float64)


def _scales(peaks: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the smallest float32 scales with which 127 steps reach the peaks, down to the smallest denormal number."""
    scales = (peaks / 127).astype(np.float32)
    short = scales.astype(np.float64) * 127 < peaks
    scales[short] = np.nextafter(scales[short], np.float32(np.inf))
    return np.minimum(scales, LARGEST_SCALE)


def _by_block(vector: Vector, scales: NDArray[np.float32], operation: np.ufunc) -> None:
    """Apply an operation to each number and its block's scale, in place."""
    whole = vector.size - vector.size % BLOCK
    rows = vector[:whole].reshape(-1, BLOCK)
    operation(rows, scales[: len(rows), None], out=rows)
    if whole < vector.size:
        operation(vector[whole:], scales[-1], out=vector[whole:])
