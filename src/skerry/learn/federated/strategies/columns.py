"""All replies of a round side by side, a block of parameters at a time: for strategies that compare clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.strategies.base import Replies
from skerry.learn.federated.strategies.mean import check_length

MEMORY_BYTES = 8 << 20
"""Of a block of columns in float64, and of deltas before they are put into a file."""


def iterate_columns(
    replies: Replies, size: int, memory_bytes: int = MEMORY_BYTES
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield blocks of parameters with the deltas of all replies.

    Each reply is read once. What does not fit ``memory_bytes`` waits in a temporary file, in the deltas' own dtype. A
    loop lets go of a block (``del``) before it asks for the next one, so that there is one at a time.

    Args:
        replies: At least one.
        size: Parameters of the model.
        memory_bytes: Of one block.

    Yields:
        Which parameters, and their deltas: float64, one row for each parameter and one column for each reply.

    Raises:
        DataError: there is no reply, or a delta has another length.
    """
    rows = []
    with SpooledTemporaryFile(max_size=memory_bytes) as file:
        for reply in replies:
            check_length(reply, size)
            rows.append((file.tell(), reply.delta.dtype))
            file.write(np.ascontiguousarray(reply.delta).data)
        if not rows:
            raise DataError("a round without a reply makes no model")
        width = max(1, memory_bytes // (8 * len(rows)))
        for begin in range(0, size, width):
            end = min(begin + width, size)
            # In no variable here: only the loop that it goes to holds it.
            yield slice(begin, end), _read_block(file, rows, begin, end)


def _read_block(
    file: SpooledTemporaryFile[bytes], rows: Sequence[tuple[int, np.dtype[Any]]], begin: int, end: int
) -> NDArray[np.float64]:
    block = np.empty((end - begin, len(rows)))
    for column, (offset, dtype) in enumerate(rows):
        file.seek(offset + begin * dtype.itemsize)
        block[:, column] = np.frombuffer(file.read((end - begin) * dtype.itemsize), dtype)
    return block


def sorted_median(block: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median of each row of a block whose rows are sorted; that of an even number is the middle of two.

    Sorting whole rows is faster than `numpy.median` on blocks of this shape.
    """
    columns = block.shape[1]
    return np.asarray(0.5 * block[:, (columns - 1) // 2] + 0.5 * block[:, columns // 2])
