"""Time windows of flow records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skerry.network.flows.batch import FlowBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time.

    Args:
        start_ms: Where it begins, Unix time.
        width_ms: How long it is; above 0.
    """

    start_ms: int
    width_ms: int

    @property
    def width_s(self) -> float:
        """How long it is, in seconds."""
        return self.width_ms / 1000


def split(batch: FlowBatch, width_ms: int, *, clock: str = "received_ms") -> Iterator[tuple[Window, FlowBatch]]:
    """Yield the windows that a batch has records in, in the order of time, each with its records.

    Args:
        batch: The records.
        width_ms: How long each window is; they begin at multiples of it.
        clock: The column that says when: ``received_ms``, our clock, by which a defence acts, or ``last_ms``, the
            exporter's, by which a recording is told.

    Example:
        >>> list(split(FlowBatch(), 1000))
        []
    """
    if not len(batch):
        return
    numbers = batch[clock] // width_ms
    if numbers[0] == numbers[-1] and (numbers == numbers[0]).all():
        yield Window(start_ms=int(numbers[0]) * width_ms, width_ms=width_ms), batch
        return
    order = np.argsort(numbers, kind="stable")
    found, begins = np.unique(numbers[order], return_index=True)
    ends = [*begins[1:].tolist(), len(order)]
    for number, begin, end in zip(found.tolist(), begins.tolist(), ends, strict=True):
        yield Window(start_ms=number * width_ms, width_ms=width_ms), batch.select(order[begin:end])
