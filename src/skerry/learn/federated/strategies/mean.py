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


def reachable_mean(
    replies: Replies,
    model: Vector,
    weight: Callable[[Received], float],
    scale: Callable[[Received], float] | None = None,
) -> NDArray[np.float64]:
    """Return the weighted mean of the deltas, so that adding it takes no parameter past what some client has.

    A delta that was trained from an earlier model says where its client would go on to, as long as the parameter is one
    that gradients move: there it counts in full. A running variance is none: its delta of -0.7, from 1 to 0.3, is all
    that there is to go, and added again it gives what no variance can be. Nothing says which parameter is of which
    kind. But any mean of models stays between the lowest and the highest value of each parameter, so the mean is cut to
    what leads from the model to a value between: those of the clients, and the model's own. Without earlier models it
    is there by itself, and nothing is cut.

    Args:
        replies: At least one.
        model: What the mean is to be added to.
        weight: As in `weighted_mean`.
        scale: As there; ways are multiplied with it too.

    Raises:
        DataError: as `weighted_mean`.

    Source: ours; ``benchmarks.federated.stragglers`` has what it costs.
    """
    mean = weighted_mean(replies, model.size, weight, scale)
    if not replies.have_bases:
        return mean
    low, high, way = np.zeros(model.size), np.zeros(model.size), np.empty(model.size)
    for reply in replies:
        if reply.examples < 1:
            continue
        if reply.base is None:
            way[:] = reply.delta
        else:
            np.subtract(reply.base, model, out=way, dtype=np.float64)
            way += reply.delta
        if scale is not None:
            way *= scale(reply)
        np.minimum(low, way, out=low)
        np.maximum(high, way, out=high)
    return np.clip(mean, low, high, out=mean)


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
