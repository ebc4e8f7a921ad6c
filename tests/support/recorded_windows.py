"""Recorded packets as windows of traffic, as a sensor would have told them."""

import os
from collections import defaultdict
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from skerry.network.actions import Flag, Protocol
from skerry.network.detection import Slice, make_traffic
from skerry.network.features import split
from skerry.network.flows import FlowBatch, read_packets

PROTOCOLS = {1: Protocol.ICMP, 6: Protocol.TCP, 17: Protocol.UDP, 58: Protocol.ICMP}
ASKED = 0x17  # FIN, SYN, RST, ACK


def shared_data(name):
    """Return a folder of recordings; the test is skipped where there is none."""
    folder = Path(os.environ.get("SKERRY_SHARED") or Path(__file__).parents[3] / "shared") / "data" / name
    if not folder.is_dir():
        pytest.skip("the recordings are in neither $SKERRY_SHARED nor ../shared")
    return folder


def recorded_windows(path, *, width_ms=250):
    """Yield the traffic to each destination in each window of a capture, in the order of time."""
    for window, batch in split(FlowBatch.join(list(read_packets(path))), width_ms):
        seen = defaultdict(lambda: [0.0, 0.0, 0])
        for row in zip(*(batch[name].tolist() for name in _COLUMNS), strict=True):
            found = seen[row[:5]]
            found[0] += row[5]
            found[1] += row[6]
            found[2] |= row[7] & ASKED
        by_destination = defaultdict(list)
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


def _address(high, low):
    return IPv4Address(low & 0xFFFF_FFFF) if high == 0 and low >> 32 == 0xFFFF else IPv6Address(high << 64 | low)
