"""Top-k: the numbers of largest magnitude with their places; the others are 0.

Layout: for each chunk of 256 numbers how many of them are kept (uint16), then the place of each kept number within its
chunk (uint8, rising), then the kept numbers (float32). So a place costs one byte and a chunk two: at 5 % a vector takes
0.064 of its float32 bytes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.wire.coding.fault import bad_vector
from skerry.learn.federated.wire.coding.floats import encode as encode_floats
from skerry.learn.federated.wire.parameters import Vector

CHUNK = 256
COUNT, NUMBER = np.dtype("<u2"), np.dtype("<f4")
KEPT_BYTES = 1 + NUMBER.itemsize


def encode(vector: Vector, keep_ratio: float) -> tuple[bytes, Vector]:
    """Return a finite vector's bytes, and what they lost: everything that was not kept.

    Args:
        vector: What is to be written.
        keep_ratio: Share of the numbers that is kept, above 0 and at most 1; at least one is.

    Raises:
        DataError: a kept number is larger than float32 has.
    """
    places = _largest(vector, math.ceil(keep_ratio * vector.size))
    kept, lost_of_kept = encode_floats(vector[places], "float32")
    counts = np.bincount(places // CHUNK, minlength=-(-vector.size // CHUNK)).astype(COUNT)
    lost = vector.copy()
    lost[places] = 0 if lost_of_kept is None else lost_of_kept
    return b"".join((counts.tobytes(), (places % CHUNK).astype(np.uint8).tobytes(), kept)), lost


def decode(data: bytes, size: int, dtype: np.dtype[np.floating]) -> Vector:
    """Return the vector as a new array of ``dtype``.

    Raises:
        DataError: the bytes are too few or too many, or the places are not rising or beyond the vector.
    """
    chunks = -(-size // CHUNK)
    head = chunks * COUNT.itemsize
    if len(data) < head or (len(data) - head) % KEPT_BYTES:
        raise bad_vector("wrong_size", f"{len(data)} bytes are no top-k of {size} numbers: it was cut or padded")
    kept = (len(data) - head) // KEPT_BYTES
    counts = np.frombuffer(data, COUNT, chunks)
    if int(counts.sum(dtype=np.int64)) != kept:
        raise bad_vector(
            "damaged", f"the chunks count {int(counts.sum(dtype=np.int64))} kept numbers, and {kept} follow"
        )
    places = np.repeat(np.arange(chunks, dtype=np.int64) * CHUNK, counts)
    places += np.frombuffer(data, np.uint8, kept, head)
    if kept and (places[-1] >= size or (np.diff(places) <= 0).any()):
        raise bad_vector("damaged", f"the places of the kept numbers are not rising, or not within {size}")
    vector = np.zeros(size, dtype)
    vector[places] = np.frombuffer(data, NUMBER, kept, head + kept)
    return vector


def _largest(vector: Vector, count: int) -> NDArray[np.intp]:
    """Return the places of the largest magnitudes, rising; of equal ones the first, on each machine the same."""
    if count >= vector.size:
        return np.arange(vector.size)
    magnitudes = np.abs(vector)
    least = np.partition(magnitudes, vector.size - count)[vector.size - count]
    above = np.flatnonzero(magnitudes > least)
    equal = np.flatnonzero(magnitudes == least)[: count - above.size]
    places = np.concatenate((above, equal))
    places.sort()
    return places
