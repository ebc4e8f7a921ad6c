"""Interface counters of sFlow: what SNMP's ``ifTable`` has, pushed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.batch import ADDRESS
from skerry.network.flows.origin import Origin

# The generic interface counters of sFlow v5, as they lie in a datagram.
GENERIC = np.dtype(
    [
        ("interface", ">u4"),
        ("kind", ">u4"),
        ("speed_bps", ">u8"),
        ("direction", ">u4"),
        ("status", ">u4"),
        ("in_bytes", ">u8"),
        ("in_unicast", ">u4"),
        ("in_multicast", ">u4"),
        ("in_broadcast", ">u4"),
        ("in_discards", ">u4"),
        ("in_errors", ">u4"),
        ("in_unknown", ">u4"),
        ("out_bytes", ">u8"),
        ("out_unicast", ">u4"),
        ("out_multicast", ">u4"),
        ("out_broadcast", ">u4"),
        ("out_discards", ">u4"),
        ("out_errors", ">u4"),
        ("promiscuous", ">u4"),
    ]
)

# The same in native numbers, with who said it and when.
COUNTERS = np.dtype(
    [
        ("received_ms", "<i8"),
        ("exporter", ADDRESS),
        ("domain", "<u4"),
        *[(name, GENERIC[name].newbyteorder("<")) for name in GENERIC.names or ()],
    ]
)

# Counters that nobody takes are dropped beyond this.
_MAX_ROWS = 16_384


class CounterRows:
    """Counters of interfaces until somebody takes them."""

    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []

    def add(self, body: bytes, origin: Origin) -> bool:
        """Add the counters of an interface.

        Args:
            body: Begins with what ``GENERIC`` reads.
            origin: Who sent it.

        Returns:
            Whether there was room.
        """
        if len(self._rows) >= _MAX_ROWS:
            return False
        values = np.frombuffer(body, GENERIC, 1)[0].item()
        self._rows.append((origin.received_ms, origin.domain.exporter, origin.number, *values))
        return True

    def take(self) -> NDArray[Any]:
        """Return all rows, of dtype ``COUNTERS``, and forget them."""
        rows, self._rows = self._rows, []
        return np.array(rows, COUNTERS)
