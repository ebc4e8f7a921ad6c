"""Sample rows as people give them, as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skerry.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def read_rows(sample: Any, *, name: str, text_name: str = "text") -> dict[str, Array]:
    """Return a sample as arrays with at least one row each, by the name of the input.

    Args:
        sample: An array or nested lists, a list of strings, or a mapping of names to those.
        name: The input's name when the sample has none.
        text_name: The same for a list of strings.

    Raises:
        DataError: there are no rows, arrays of different lengths, or something that is no array.
    """
    if sample is None:
        raise DataError(
            "sample: give some rows of input (an array, or a list of strings): the export is compared with the "
            "original on them"
        )
    given = sample if isinstance(sample, Mapping) else {None: sample}
    feeds = {}
    for key, value in given.items():
        array = _to_array(value, key)
        feeds[key if isinstance(key, str) else text_name if array.dtype == object else name] = array
    lengths = {key: len(array) for key, array in feeds.items()}
    if not feeds or min(lengths.values()) == 0:
        raise DataError("sample: there are no rows in it; give at least one")
    if len(set(lengths.values())) > 1:
        raise DataError(f"sample: the arrays have different numbers of rows: {lengths}")
    return feeds


def _to_array(value: Any, key: Any) -> Array:
    import numpy as np

    place = "sample" if key is None else f"sample[{key!r}]"
    if isinstance(value, str | bytes):
        raise DataError(f"{place}: a text alone is no row; give a list of texts")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{place}: rows of different lengths make no array: {error}") from error
    if array.dtype.kind in "US" or (array.dtype == object and all(isinstance(item, str) for item in array.ravel())):
        array = array.astype(str).astype(object)
    elif array.dtype.kind not in "biuf":
        raise DataError(f"{place}: must be numbers or texts, not {array.dtype}")
    if array.ndim == 0:
        raise DataError(f"{place}: one value alone is no row; give an array with rows first")
    return array
