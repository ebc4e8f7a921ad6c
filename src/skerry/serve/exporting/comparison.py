"""Whether an exported model gives what its original gives.

Two numbers are equal when they differ by at most `TOLERANCE`, or by that part of the expected number where that is
larger than 1: results of single-precision arithmetic have about seven digits, wherever the point is. Labels are equal
or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skerry.errors import ModelRejectedError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two outputs are from each other.

    Args:
        worst: The largest difference, relative where the expected number exceeds 1; infinite where they cannot be
            compared.
        words: Where it is, and both values.
    """

    worst: float
    words: str

    @property
    def is_small(self) -> bool:
        """Whether the outputs count as equal."""
        return self.worst <= TOLERANCE


def compare(name: str, expected: Array, actual: Array) -> Difference:
    """Return the difference of one output from what the original gives.

    Args:
        name: The output's name.
        expected: What the original gives, rows first.
        actual: What the exported model gives; a column of one may stand for none.
    """
    import numpy as np

    expected, actual = np.asarray(expected), np.asarray(actual)
    if expected.size == actual.size and len(expected) == len(actual):
        expected = expected.reshape(actual.shape)
    if expected.shape != actual.shape:
        shapes = f"output {name!r} has the shape {list(actual.shape)}, the original {list(expected.shape)}"
        return Difference(worst=float("inf"), words=shapes)
    if actual.size == 0:
        return Difference(worst=0.0, words=f"output {name!r} is empty")
    if not _is_real(expected) or not _is_real(actual):
        distances = np.where(expected.astype(str) != actual.astype(str), float("inf"), 0.0)
    else:
        distances = _distances(expected.astype(np.float64), actual.astype(np.float64))
        if expected.dtype.kind in "iub" and actual.dtype.kind in "iub":
            distances[distances > 0] = float("inf")
    return _find_worst(name, expected, actual, distances)


def require_equal(what: str, differences: list[Difference]) -> float:
    """Return the largest of the differences.

    Raises:
        ModelRejectedError: it is not small; the message says where it is.
    """
    worst = max(differences, key=lambda difference: difference.worst)
    if not worst.is_small:
        raise ModelRejectedError(
            f"{what}: the exported model does not give what the original gives: {worst.words}; at most {TOLERANCE:g} "
            "is allowed (relative where values exceed 1), and labels must be equal"
        )
    return worst.worst


def _is_real(array: Array) -> bool:
    return array.dtype.kind in "biuf"


def _distances(expected: Array, actual: Array) -> Array:
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        distances: Array = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    distances[same] = 0.0
    distances[np.isnan(distances)] = float("inf")
    return distances


def _find_worst(name: str, expected: Array, actual: Array, distances: Array) -> Difference:
    import numpy as np

    place = np.unravel_index(int(np.argmax(distances)), distances.shape)
    wrong = int((distances > TOLERANCE).reshape(len(distances), -1).any(axis=1).sum())
    column = f", element {[int(index) for index in place[1:]]}" if len(place) > 1 else ""
    worst = float(distances[place])
    words = (
        f"output {name!r}, row {int(place[0])}{column} is {actual[place]} and should be {expected[place]} (difference "
        f"{worst:.3g}; {wrong:,} of {len(distances):,} rows differ)"
    )
    return Difference(worst=worst, words=words)
