"""Weighted means over replies, streamed in float64: memory does not grow with the number of clients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.strategies.base import Received, Replies
from skerry.learn.federated.wire.parameters import Vector


def weighted_mean(
    replies: Replies, size: int, weight: Callable[[Received], float], scale: Callable[[Received], float] | None = None
) -> NDArray[np.float64]:
    """Return the mean of the deltas with weights that are normalised to 1.

    Args:
        replies: At least one.
        size: Parameters of the model.
        weight: Of one reply; at least 0. A reply of weight 0 is not looked at.
        scale: What a delta is multiplied with before it is averaged; 1 if not given.

    Raises:
        DataError: all weights are 0, there is no reply, or a delta has another length.
    """
    total, mean, part = 0.0, None, None
    for reply in replies:
        share = weight(reply)
        if not share > 0:
            continue
        total += share
        check_length(reply, size)
        factor = share if scale is None else share * scale(reply)
        if mean is None:
            mean = np.multiply(reply.delta, factor, dtype=np.float64)
        else:
            part = np.multiply(reply.delta, factor, out=part, dtype=np.float64)
            mean += part
    if mean is None:
        raise DataError("all replies of the round weigh nothing: no client has trained on a single example")
    mean /= total
    return mean


def check_length(reply: Received, size: int) -> None:
    """Refuse a delta of another length: NumPy would spread a single number over the model.

    Raises:
        DataError: the delta has another length.
    """
    if reply.delta.shape != (size,):
        raise DataError(
            f"client {reply.client!r} sent an update of shape {reply.delta.shape} for a model of {size} parameters"
        )


def late_weight(staleness: int, exponent: float) -> float:
    """Return how much a late reply counts beside one that is not late: ``(1 + staleness) ** -exponent``, in (0, 1].

    Args:
        staleness: Rounds that have ended since the client was given its model.
        exponent: 0 counts late replies in full; 0.5 is FedBuff's.

    Source: Xie, Koyejo, Gupta: Asynchronous Federated Optimization, 2019 (polynomial).
    """
    return float((1 + staleness) ** -exponent)


def add_change(model: Vector, change: NDArray[np.float64]) -> Vector:
    """Return the model plus a change, added in float64, in the model's dtype.

    Raises:
        DataError: the sum does not fit the dtype.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = (model + change).astype(model.dtype)
    if not np.isfinite(result).all():
        raise DataError(
            f"the round's replies would make a model with numbers that {model.dtype} cannot hold; "
            "lower the learning rate, clip the updates, or use a robust strategy such as median"
        )
    return result
