"""Recorded packets as windows of traffic, as a sensor would have told them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from skerry.network.actions import Address, Flag, Protocol
from skerry.network.detection import Slice, Traffic, make_traffic
from skerry.network.features import split
from skerry.network.flows import FlowBatch, read_packets

PROTOCOLS = {1: Protocol.ICMP, 6: Protocol.TCP, 17: Protocol.UDP, 58: Protocol.ICMP}
ASKED = 0x17  # FIN, SYN, RST, ACK


def recorded_windows(path: Path, *, width_ms: int = 250) -> Iterator[Traffic]:
    """Yield the traffic to each destination in each window of a capture, in the order of time.

    Packets of one conversation are one slice, with the flags of all, as an exporter with a cache tells them.
    """
    for window, batch in split(FlowBatch.join(list(read_packets(path))), width_ms):
        seen: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0.0, 0.0, 0])
        for row in zip(*(batch[name].tolist() for name in _COLUMNS), strict=True):
            found = seen[row[:5]]
            found[0] += row[5]
            found[1] += row[6]
            found[2] |= row[7] & ASKED
        by_destination: defaultdict[Address, list[Slice]] = defaultdict(list)
        for (source, destination, source_port, port, protocol), (packets, size, flags) in seen.items():
            by_destination[_address(*destination)].append(
                Slice(
                    source=_address(*source),
                    protocol=PROTOCOLS.get(protocol),
                    source_port=source_port,
                    destination_port=port,
                    flags=Flag(flags) if protocol == 6 else None,
                    length_bytes=round(size / packets),
                    packets=packets,
                )
            )
        ended_s = (window.start_ms + width_ms) / 1000
        for destination, slices in by_destination.items():
            yield make_traffic(destination, slices, ended_s=ended_s, length_s=width_ms / 1000)


_COLUMNS = ("source", "destination", "source_port", "destination_port", "protocol", "packets", "bytes", "tcp_flags")


def _address(high: int, low: int) -> Address:
    return IPv4Address(low & 0xFFFF_FFFF) if high == 0 and low >> 32 == 0xFFFF else IPv6Address(high << 64 | low)
