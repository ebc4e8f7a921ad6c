"""Recordings of datagrams: captures of UDP, which tcpdump and Wireshark read as well."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from skerry.network.flows.batch import FlowBatch
from skerry.network.flows.datagram import Datagram
from skerry.network.flows.packets.capture import Frame, read_capture
from skerry.network.flows.packets.headers import Link, read_headers
from skerry.network.flows.packets.records import records_of

_FRAMES = 4_096  # read together

_UDP = 17


def read_datagrams(path: Path, *, port: int | None = None) -> Iterator[list[Datagram]]:
    """Yield the UDP datagrams of a capture, some thousand at a time.

    Args:
        path: A capture file.
        port: Only datagrams to this port; to any port by default.

    Raises:
        DataError: The file is no capture.
    """
    for frames in _some(read_capture(path)):
        headers = read_headers([frame.data for frame in frames], [frame.link for frame in frames])
        chosen = (headers["payload"] > 0) & (headers["protocol"] == _UDP)
        if port is not None:
            chosen &= headers["destination_port"] == port
        yield [_datagram(frames[i], headers[i]) for i in chosen.nonzero()[0].tolist()]


def read_packets(path: Path) -> Iterator[FlowBatch]:
    """Yield the IP packets of a capture as flow records of one packet each, some thousand at a time.

    Args:
        path: A capture file.

    Raises:
        DataError: The file is no capture.
    """
    import numpy as np

    for frames in _some(read_capture(path)):
        headers = read_headers([frame.data for frame in frames], [frame.link for frame in frames])
        chosen = headers["family"] > 0
        wire = np.array([frame.wire_bytes for frame in frames])
        records = records_of(headers[chosen], wire[chosen], np.ones(int(chosen.sum())))
        records["received_ms"] = np.array([frame.at_ms for frame in frames])[chosen]
        records["first_ms"] = records["last_ms"] = records["received_ms"]
        yield FlowBatch(records=records)


class Recording:
    """A capture file that datagrams are written to.

    Args:
        path: The file; what it held is lost.
        port: The port that the datagrams came to; may be set later.
    """

    def __init__(self, path: Path, port: int = 0) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, Link.RAW))
        self.port = port

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, datagrams: Iterable[Datagram]) -> None:
        """Write datagrams, each with the IP and UDP headers it would have had, without checksums."""
        for datagram in datagrams:
            packet = _packet(datagram, self.port)
            head = struct.pack(
                "<IIII", datagram.received_ms // 1000, datagram.received_ms % 1000 * 1000, len(packet), len(packet)
            )
            self._file.write(head + packet)
        self._file.flush()


def _datagram(frame: Frame, header: object) -> Datagram:
    row = header.item()  # type: ignore[attr-defined]  # a row of an array, whose type NumPy does not tell
    family, (high, low), _, source_port, *_, begin = row
    data = frame.data
    # The length in the UDP header leaves out what Ethernet pads short frames with.
    length = int.from_bytes(data[begin - 4 : begin - 2], "big")
    address = (low & 0xFFFF_FFFF).to_bytes(4, "big") if family == 4 else (high << 64 | low).to_bytes(16, "big")
    return Datagram(data[begin : begin - 8 + length], address, source_port, frame.at_ms)


def _packet(datagram: Datagram, port: int) -> bytes:
    length = 8 + len(datagram.data)
    udp = struct.pack(">HHHH", datagram.port, port, length, 0) + datagram.data
    address = datagram.address
    if len(address) == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, min(20 + length, 0xFFFF), 0, 0, 64, _UDP, 0)
        return head + address + bytes([127, 0, 0, 1]) + udp
    return struct.pack(">IHBB", 6 << 28, length, _UDP, 64) + address + bytes(15) + b"\1" + udp


def _some(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    while some := list(islice(frames, _FRAMES)):
        yield some
