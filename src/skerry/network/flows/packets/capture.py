"""Capture files: pcap and pcapng, as tcpdump and others write them, also compressed with gzip.

Source: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from skerry.errors import DataError
from skerry.network.flows.packets.headers import Link

# The longest packet that a capture may hold (the bound of libpcap itself).
MAX_PACKET_BYTES = 262_144

_GZIP = b"\x1f\x8b"
_PCAPNG = 0x0A0D0D0A
_BYTE_ORDER = 0x1A2B3C4D

# The first four bytes of pcap files, and how many parts of a second its times have.
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}

_INTERFACE, _SIMPLE, _ENHANCED = 1, 3, 6
_RESOLUTION = 9
_MAX_BLOCK_BYTES = 1 << 20
_MAX_INTERFACES = 4_096

# BSD writes IP without a link layer under numbers of its own.
_RAW = frozenset({12, 14, 228, 229})


class Frame(NamedTuple):
    """A captured packet.

    Args:
        at_ms: Unix time in milliseconds.
        link: What it begins with, a number of ``Link``.
        data: What was captured of it.
        wire_bytes: How long it was.
    """

    at_ms: int
    link: int
    data: bytes
    wire_bytes: int


def read_capture(path: Path) -> Iterator[Frame]:
    """Yield the packets of a capture file. A packet that is cut off at the end of the file is left out.

    Args:
        path: A pcap or pcapng file, or one of these compressed with gzip.

    Raises:
        DataError: The file is no capture, or damaged.
    """
    with path.open("rb") as raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        if not compressed:
            yield from _read(raw, path)
            return
        with gzip.open(raw) as file:
            try:
                yield from _read(file, path)  # type: ignore[arg-type]  # a GzipFile reads like any other file
            except (OSError, EOFError, zlib.error) as error:
                raise DataError(f"{path}: the compressed capture is damaged: {error}") from error


def _read(file: BinaryIO, path: Path) -> Iterator[Frame]:
    magic = file.read(4)
    if magic in _PCAP:
        yield from _read_pcap(file, path, *_PCAP[magic])
    elif int.from_bytes(magic, "big") == _PCAPNG:
        yield from _read_pcapng(file, path)
    else:
        raise DataError(f"{path}: neither pcap nor pcapng; record datagrams with: skerry network flows listen --record")


def _read_pcap(file: BinaryIO, path: Path, order: str, parts: int) -> Iterator[Frame]:
    head = file.read(20)
    if len(head) < 20:
        raise DataError(f"{path}: the capture ends within its header")
    link = _link(struct.unpack(f"{order}I", head[16:])[0] & 0xFFFF)
    record = struct.Struct(f"{order}IIII")
    while len(head := file.read(16)) == 16:
        seconds, fraction, kept, wire = record.unpack(head)
        if kept > MAX_PACKET_BYTES:
            raise DataError(f"{path}: a packet of {kept} bytes; the capture is damaged")
        data = file.read(kept)
        if len(data) < kept:
            return
        yield Frame(seconds * 1000 + fraction * 1000 // parts, link, data, wire)


def _read_pcapng(file: BinaryIO, path: Path) -> Iterator[Frame]:
    file.seek(0)
    order = "<"
    interfaces: list[tuple[int, int]] = []
    while len(head := file.read(8)) == 8:
        if int.from_bytes(head[:4], "big") == _PCAPNG:
            order, interfaces = _section(file, path), []
            file.seek(-4, 1)
        kind, size = struct.unpack(f"{order}II", head)
        if not 12 <= size <= _MAX_BLOCK_BYTES:
            raise DataError(f"{path}: a block of {size} bytes; the capture is damaged")
        body = file.read(size - 8)
        if len(body) < size - 8:
            return
        if kind == _INTERFACE and len(body) >= 12 and len(interfaces) < _MAX_INTERFACES:
            link = struct.unpack_from(f"{order}H", body)[0]
            interfaces.append((_link(link), _resolution(body[8:-4], order)))
        elif kind in {_ENHANCED, _SIMPLE}:
            frame = _packet(kind, body, order, interfaces)
            if frame is None:
                raise DataError(f"{path}: a packet of an interface that is not described; the capture is damaged")
            yield frame


def _section(file: BinaryIO, path: Path) -> str:
    """Return the byte order of a section, which its second number shows."""
    mark = file.read(4)
    if mark == _BYTE_ORDER.to_bytes(4, "little"):
        return "<"
    if mark == _BYTE_ORDER.to_bytes(4, "big"):
        return ">"
    raise DataError(f"{path}: a section of no byte order; the capture is damaged")


def _packet(kind: int, body: bytes, order: str, interfaces: list[tuple[int, int]]) -> Frame | None:
    if kind == _SIMPLE:
        if not interfaces or len(body) < 8:
            return None
        wire = struct.unpack_from(f"{order}I", body)[0]
        return Frame(0, interfaces[0][0], body[4 : min(4 + wire, len(body) - 4)], wire)
    if len(body) < 24:
        return None
    number, high, low, kept, wire = struct.unpack_from(f"{order}IIIII", body)
    if number >= len(interfaces) or kept > len(body) - 24:
        return None
    link, parts = interfaces[number]
    return Frame((high << 32 | low) * 1000 // parts, link, body[20 : 20 + kept], wire)


def _resolution(options: bytes, order: str) -> int:
    """Return how many parts of a second the times of an interface have: a power of 10 or of 2, a million if unsaid."""
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(f"{order}HH", options, at)
        if code == 0:
            break
        if code == _RESOLUTION and length == 1 and at + 4 < len(options):
            exponent = options[at + 4]
            return 1 << (exponent & 63) if exponent & 128 else int(10 ** min(exponent, 18))
        at += 4 + length + -length % 4
    return 1_000_000


def _link(number: int) -> int:
    return Link.RAW if number in _RAW else number
