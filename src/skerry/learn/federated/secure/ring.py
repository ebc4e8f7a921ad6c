"""Updates as whole numbers in a ring: what masks can be added to without loss, and sums that cannot wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import DataError
from skerry.learn.federated.secure.messages import Terms
from skerry.learn.federated.wire.parameters import Vector

Elements = NDArray[Any]
"""Elements of the ring: uint64 or uint32, whose arithmetic wraps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the coordinator learns.

    Args:
        weighted_sum: Of the updates, each times its examples; float64.
        examples: Sum of the weights, at least 1.
        clients: Whose updates are in it, in the order of their names.
    """

    weighted_sum: NDArray[np.float64]
    examples: int
    clients: tuple[str, ...]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean update, weighted by examples."""
        return self.weighted_sum / self.examples


def encode(update: Vector, examples: int, terms: Terms) -> Elements:
    """Return an update times its weight, and the weight behind it, as elements of the ring.

    Args:
        update: float32 or float64, finite; numbers beyond ``terms.value_range`` are clipped to it.
        examples: From 0 to ``terms.max_examples``; when that is 1, each client weighs 1.
        terms: Of the secure aggregation.

    Raises:
        DataError: a number is not finite, the length is not the model's, or there are too many examples.
    """
    if update.shape != (terms.size,):
        raise DataError(f"an update of shape {update.shape} does not fit a model of {terms.size} parameters")
    weight = 1 if terms.max_examples == 1 else examples
    if not 0 <= weight <= terms.max_examples:
        raise DataError(
            f"{examples} examples, and the terms allow from 0 to {terms.max_examples}: raise max_examples, "
            "or train on fewer rows"
        )
    if not np.isfinite(update).all():
        raise DataError("the update holds numbers that are not finite: nothing was masked")
    numbers = np.clip(update.astype(np.float64), -terms.value_range, terms.value_range)
    numbers *= terms.scale
    whole = np.empty(terms.size + 1, np.int64)
    whole[:-1] = np.rint(numbers, out=numbers)
    whole[:-1] *= weight
    whole[-1] = weight
    return whole.view(np.uint64).astype(terms.dtype)


def decode(elements: Elements, clients: tuple[str, ...], terms: Terms) -> Total:
    """Return the sum that unmasked elements stand for.

    Raises:
        DataError: the weights sum to nothing, or to more than the terms allow: somebody did not keep to them.
    """
    whole = elements.view(f"<i{terms.bits // 8}")
    examples = int(whole[-1])
    if not 0 < examples <= len(clients) * terms.max_examples:
        raise DataError(
            f"the updates of {len(clients)} clients weigh {examples} examples together; the terms allow from 1 to "
            f"{len(clients) * terms.max_examples}"
        )
    return Total(weighted_sum=whole[:-1] / terms.scale, examples=examples, clients=clients)
