"""Weighted means over replies, streamed in float64: memory does not grow with the number of clients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.strategies.base import Received, Replies


def weighted_mean(replies: Replies, weight: Callable[[Received], float]) -> NDArray[np.float64]:
    """Return the mean of the deltas with weights that are normalised to 1.

    Args:
        replies: At least one.
        weight: Of one reply; at least 0.

    Raises:
        DataError: all weights are 0.
    """
    total, mean = 0.0, None
    for reply in replies:
        share = weight(reply)
        total += share
        part = reply.delta.astype(np.float64)
        part *= share
        mean = part if mean is None else np.add(mean, part, out=mean)
    if mean is None or not total > 0:
        raise DataError("all replies of the round weigh nothing: no client has trained on a single example")
    mean /= total
    return mean
