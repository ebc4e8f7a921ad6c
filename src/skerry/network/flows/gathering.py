"""Data sets of many datagrams, gathered by layout, so that NumPy reads all of one layout in one go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.batch import FlowBatch, no_records
from skerry.network.flows.columns import fill
from skerry.network.flows.layout import Layout
from skerry.network.flows.origin import Chunk, Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

# Turns chunks of one kind into records, and for each record the number of the chunk that it is from.
Reader = Callable[["Sequence[Chunk]"], tuple[NDArray[Any], NDArray[Any]]]


@dataclass(frozen=True, slots=True)
class _Group:
    reader: Reader
    chunks: list[Chunk]


class Gathering:
    """What the datagrams of one batch hold, before it becomes columns."""

    def __init__(self) -> None:
        self._groups: dict[object, _Group] = {}
        self._next = 0

    def add(self, layout: Layout, body: bytes, count: int, origin: Origin) -> None:
        """Add records of a template.

        Args:
            layout: Of flows.
            body: ``count`` records, as the layout's dtype reads them.
            count: At least 1.
            origin: Where they are from.
        """
        group = self._groups.get(layout)
        if group is None:
            group = self._groups[layout] = _Group(lambda chunks: fill(layout, chunks), [])
        group.chunks.append(Chunk(body, count, origin, self._next))
        self._next += 1

    def add_for(self, reader: Reader, body: bytes, count: int, origin: Origin) -> None:
        """Add records that a reader of their own turns into columns."""
        group = self._groups.get(reader)
        if group is None:
            group = self._groups[reader] = _Group(reader, [])
        group.chunks.append(Chunk(body, count, origin, self._next))
        self._next += 1

    def to_batch(self) -> FlowBatch:
        """Return all records in the order in which they were added."""
        parts = [group.reader(group.chunks) for group in self._groups.values()]
        if not parts:
            return FlowBatch(records=no_records())
        records = np.concatenate([part[0] for part in parts]) if len(parts) > 1 else parts[0][0]
        order = np.concatenate([part[1] for part in parts]) if len(parts) > 1 else parts[0][1]
        if len(order) > 1 and (order[1:] < order[:-1]).any():
            records = records[np.argsort(order, kind="stable")]
        return FlowBatch(records=records)
