"""NetFlow v5: one fixed record, described here as a template, so that it goes the same way as all others."""

from __future__ import annotations

import struct

from skerry.errors import DataError
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.layout import Field, Layout, compile_layout

HEADER_BYTES = 24
RECORD_BYTES = 48

# version, count, uptime, seconds, nanoseconds, sequence, engine (type and id), sampling
_HEADER = struct.Struct(">HHIIIIHH")

_FIELDS = (
    (8, 4),  # source
    (12, 4),  # destination
    (15, 4),  # next hop
    (10, 2),  # interfaces
    (14, 2),
    (2, 4),  # packets
    (1, 4),  # octets
    (22, 4),  # first and last, milliseconds of uptime
    (21, 4),
    (7, 2),  # ports
    (11, 2),
    (210, 1),  # padding
    (6, 1),  # flags
    (4, 1),  # protocol
    (5, 1),  # type of service
    (16, 2),  # autonomous systems
    (17, 2),
    (9, 1),  # masks
    (13, 1),
    (210, 2),
)


def layout() -> Layout:
    """Return the layout of its records."""
    return compile_layout(tuple(Field(0, element, length) for element, length in _FIELDS))


class Header:
    """The header of a datagram.

    Args:
        datagram: Whose first two bytes say version 5.

    Raises:
        DataError: It is shorter than the header.
    """

    __slots__ = ("count", "engine", "export_ms", "rate", "sequence", "uptime_ms")

    def __init__(self, datagram: Datagram) -> None:
        if len(datagram.data) < HEADER_BYTES:
            raise DataError("a NetFlow v5 datagram ends within its header", reason="truncated_header")
        _, self.count, self.uptime_ms, seconds, nanoseconds, self.sequence, self.engine, sampling = _HEADER.unpack_from(
            datagram.data
        )
        self.export_ms = seconds * 1000 + nanoseconds // 1_000_000
        # The upper two bits are the way in which it samples. Some exporters give the interval and leave them out.
        self.rate = float(max(sampling & 0x3FFF, 1))
