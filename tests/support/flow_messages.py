"""NetFlow v9 and IPFIX messages, put together by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import ip_address

from skerry.network.flows.datagram import Datagram

EXPORTER = bytes([192, 0, 2, 250])
NOW_MS = 1_750_000_100_000

# source, destination, ports, protocol, flags, packets, octets, start and end in milliseconds of Unix time
FLOW_FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 8), (152, 8), (153, 8)]


def datagram(data: bytes, *, port: int = 2055, received_ms: int = NOW_MS, address: bytes = EXPORTER) -> Datagram:
    """Return a datagram of the exporter of these tests."""
    return Datagram(data, address, port, received_ms)


def flow(source: str = "198.51.100.1", packets: int = 1, octets: int = 40, port: int = 80) -> bytes:
    """Return a record of ``FLOW_FIELDS``."""
    ends = ip_address(source).packed + ip_address("203.0.113.9").packed
    return ends + struct.pack(">HHBBIQQQ", 40_000, port, 6, 2, packets, octets, 1_750_000_000_000, 1_750_000_000_500)


def field(element: int, length: int, enterprise: int = 0) -> bytes:
    """Return a field specifier."""
    if enterprise:
        return struct.pack(">HHI", element | 0x8000, length, enterprise)
    return struct.pack(">HH", element, length)


def template(number: int, fields: Sequence[tuple[int, ...]]) -> bytes:
    """Return a template record."""
    return struct.pack(">HH", number, len(fields)) + b"".join(field(*each) for each in fields)


def options_template(number: int, scope: Sequence[tuple[int, ...]], fields: Sequence[tuple[int, ...]]) -> bytes:
    """Return an options template record of IPFIX."""
    head = struct.pack(">HHH", number, len(scope) + len(fields), len(scope))
    return head + b"".join(field(*each) for each in [*scope, *fields])


def options_template_9(number: int, scope: Sequence[tuple[int, int]], fields: Sequence[tuple[int, int]]) -> bytes:
    """Return an options template record of NetFlow v9."""
    head = struct.pack(">HHH", number, 4 * len(scope), 4 * len(fields))
    return head + b"".join(field(*each) for each in [*scope, *fields])


def flow_set(number: int, body: bytes, padding: int = 0) -> bytes:
    """Return a set."""
    return struct.pack(">HH", number, 4 + len(body) + padding) + body + bytes(padding)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 1, export_s: int = 1_750_000_010) -> bytes:
    """Return an IPFIX message."""
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), export_s, sequence, domain) + body


def netflow9(
    *sets: bytes, sequence: int = 0, source: int = 1, uptime_ms: int = 60_000, export_s: int = 1_750_000_010
) -> bytes:
    """Return a NetFlow v9 message."""
    return struct.pack(">HHIIII", 9, len(sets), uptime_ms, export_s, sequence, source) + b"".join(sets)


def netflow5(*records: bytes, sequence: int = 0, uptime_ms: int = 60_000, sampling: int = 0, count: int = -1) -> bytes:
    """Return a NetFlow v5 datagram; ``count`` is what its header says, where that is not the truth."""
    said = len(records) if count < 0 else count
    head = struct.pack(">HHIIIIHH", 5, said, uptime_ms, 1_750_000_010, 500_000_000, sequence, 0, sampling)
    return head + b"".join(records)


def record5(source: str = "198.51.100.1", *, first_ms: int = 50_000, last_ms: int = 55_000) -> bytes:
    """Return a record of NetFlow v5."""
    ends = ip_address(source).packed + ip_address("203.0.113.9").packed + bytes(4)
    amounts = struct.pack(">HHIIII", 1, 2, 3, 180, first_ms, last_ms)
    return ends + amounts + struct.pack(">HHBBBBHHBBH", 40_000, 80, 0, 2, 6, 0, 0, 0, 0, 0, 0)
