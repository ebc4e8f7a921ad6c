"""Flow records as columns: one value for what exporters of every dialect tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

# An address of either family as two numbers, an IPv4 address as ::ffff:a.b.c.d. Numbers are sorted and compared at the
# speed of the machine; 16 bytes are not.
ADDRESS = np.dtype([("high", "<u8"), ("low", "<u8")])

# What tells an IPv4 address among those with a high half of 0: the upper 32 bits of its low half.
IPV4_PREFIX = 0xFFFF_0000_0000

FLOW = np.dtype(
    [
        ("received_ms", "<i8"),
        ("exporter", ADDRESS),
        ("domain", "<u4"),
        ("source", ADDRESS),
        ("destination", ADDRESS),
        ("source_port", "<u2"),
        ("destination_port", "<u2"),
        ("protocol", "u1"),
        ("tcp_flags", "<u2"),
        ("packets", "<f8"),
        ("bytes", "<f8"),
        ("first_ms", "<i8"),
        ("last_ms", "<i8"),
        ("sampling", "<f8"),
    ]
)

_ADDRESSES = ("exporter", "source", "destination")


def no_records() -> NDArray[Any]:
    """Return an empty array of flow records."""
    return np.empty(0, FLOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowBatch:
    """Flow records, one row each, in the order in which they arrived.

    ``packets`` and ``bytes`` are estimates: what the record says, times ``sampling``. They are floating point numbers,
    so that no record, however absurd, overflows a sum. ICMP has type and code (``type * 256 + code``) as destination
    port.

    Args:
        records: Array of dtype ``FLOW``: ``received_ms`` (our clock, Unix time), ``exporter``, ``domain`` (observation
            domain, source or agent id), ``source``, ``destination`` (``high`` and ``low`` halves of 128 bits),
            ``source_port``, ``destination_port``, ``protocol``, ``tcp_flags``, ``packets``, ``bytes``, ``first_ms``,
            ``last_ms`` (the exporter's clock, Unix time), ``sampling`` (packets that each seen one stands for).

    Example:
        >>> len(FlowBatch())
        0
    """

    records: NDArray[Any] = field(default_factory=no_records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column by name, as a view."""
        values: NDArray[Any] = self.records[column]
        return values

    def select(self, chosen: NDArray[Any]) -> FlowBatch:
        """Return the rows that a mask or an index chooses.

        Args:
            chosen: Boolean mask of the length of the batch, or row numbers.
        """
        return FlowBatch(records=self.records[chosen])

    @classmethod
    def join(cls, batches: Sequence[FlowBatch]) -> FlowBatch:
        """Return the rows of several batches, one after the other."""
        filled = [batch.records for batch in batches if len(batch)]
        if not filled:
            return cls()
        return cls(records=filled[0] if len(filled) == 1 else np.concatenate(filled))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each record as plain values, addresses as text: for people and for JSON."""
        names = self.records.dtype.names or ()
        for record in self.records.tolist():
            row = dict(zip(names, record, strict=True))
            for name in _ADDRESSES:
                row[name] = address_text(*row[name])
            for name in ("packets", "bytes", "sampling"):
                row[name] = int(row[name]) if row[name].is_integer() else row[name]
            yield row


def address_text(high: int, low: int) -> str:
    """Return an address as people write it.

    Args:
        high: Its upper 64 bits.
        low: Its lower 64 bits.

    Example:
        >>> address_text(0, 0xFFFF_0A000001)
        '10.0.0.1'
    """
    if high == 0 and low >> 32 == 0xFFFF:
        return str(IPv4Address(low & 0xFFFF_FFFF))
    return str(IPv6Address(high << 64 | low))


def address_halves(packed: bytes) -> tuple[int, int]:
    """Return the two halves of an address of 4 or 16 bytes.

    Example:
        >>> address_halves(bytes([10, 0, 0, 1])) == (0, 0xFFFF_0A000001)
        True
    """
    if len(packed) == 4:
        return 0, IPV4_PREFIX | int.from_bytes(packed, "big")
    return int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big")


def addresses(texts: Iterable[str]) -> NDArray[Any]:
    """Return addresses, given as text, as an array of dtype ``ADDRESS``."""
    import ipaddress

    return np.array([address_halves(ipaddress.ip_address(text).packed) for text in texts], ADDRESS)
