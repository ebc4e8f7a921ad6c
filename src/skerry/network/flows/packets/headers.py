"""The headers of many packets at once, from the link layer to ports and flags.

Source: RFC 791 (IPv4), RFC 8200 (IPv6 and its extension headers), IEEE 802.1Q (VLAN tags),
RFC 3032 (MPLS labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.batch import ADDRESS, IPV4_PREFIX

# As much of a packet as is looked at: a VLAN tag or two, IPv6 with some extension headers, TCP.
HEADER_BYTES = 160

# What is known of each packet. ``ip_bytes`` is the length that the IP header says; ``payload`` is where the payload of
# UDP begins, and 0 for all other packets. A packet that is no IP has ``family`` 0.
PACKET = np.dtype(
    [
        ("family", "u1"),
        ("source", ADDRESS),
        ("destination", ADDRESS),
        ("source_port", "<u2"),
        ("destination_port", "<u2"),
        ("protocol", "u1"),
        ("tcp_flags", "<u2"),
        ("ip_bytes", "<u4"),
        ("payload", "<u4"),
    ]
)

_VLAN = (0x8100, 0x88A8, 0x9100)
_MPLS = (0x8847, 0x8848)
_MAX_LABELS = 8
_IPV4, _IPV6 = 0x0800, 0x86DD
_ICMP, _TCP, _UDP, _ICMP_6 = 1, 6, 17, 58
_WITH_PORTS = (_TCP, _UDP, 33, 132, 136)  # and DCCP, SCTP, UDP-Lite

# IPv6 extension headers that have a length of their own; a fragment header is 8 bytes, always.
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSIONS = (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION)
_MAX_EXTENSIONS = 8


class Link(IntEnum):
    """What a packet begins with, by the numbers of capture files."""

    NULL = 0
    ETHERNET = 1
    RAW = 101
    LINUX_COOKED = 113
    LINUX_COOKED_2 = 276


# For each link layer: where the type of its payload is, if it says so, and where the payload begins.
_LAYERS = {
    Link.NULL: (None, 4),
    Link.ETHERNET: (12, 14),
    Link.RAW: (None, 0),
    Link.LINUX_COOKED: (14, 16),
    Link.LINUX_COOKED_2: (0, 20),
}


class _Bytes:
    """Rows of bytes, read at a place of its own in each row. Beyond the end of a row are zeros."""

    def __init__(self, rows: NDArray[np.uint8]) -> None:
        # Eight columns of zeros stand for what is behind the end, so that a number may begin at the last byte.
        self._width = rows.shape[1]
        self._flat = np.concatenate([rows, np.zeros((len(rows), 8), np.uint8)], axis=1).reshape(-1)
        self._start = np.arange(len(rows)) * (self._width + 8)

    def number(self, at: NDArray[Any], size: int) -> NDArray[Any]:
        place = self._start + np.minimum(at, self._width)
        value: NDArray[Any] = self._flat[place].astype("<u8")
        for i in range(1, size):
            value = value << np.uint64(8) | self._flat[place + i]
        return value


def read_headers(packets: Sequence[bytes], links: Sequence[int]) -> NDArray[Any]:
    """Read the headers of packets.

    Args:
        packets: From the link layer on; only the first ``HEADER_BYTES`` are looked at, and there may be fewer.
        links: What each begins with: a number of ``Link``.

    Returns:
        An array of dtype ``PACKET``, one row for each packet.
    """
    joined = b"".join([packet[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0") for packet in packets])
    rows = np.frombuffer(joined, np.uint8).reshape(len(packets), HEADER_BYTES)
    lengths = np.array([min(len(packet), HEADER_BYTES) for packet in packets], "<i8")
    return decode_headers(rows, lengths, np.array(links, "<i8"))


def decode_headers(rows: NDArray[np.uint8], lengths: NDArray[Any], links: NDArray[Any]) -> NDArray[Any]:
    """Read the headers of packets that lie in a matrix.

    Args:
        rows: One packet in each row, zeros behind its end.
        lengths: How many bytes of each row are the packet's.
        links: What each begins with: a number of ``Link``.
    """
    out = np.zeros(len(rows), PACKET)
    if not len(rows):
        return out
    data = _Bytes(rows)
    kind, at = _skip_link(data, links, len(rows))
    version = data.number(at, 1) >> np.uint64(4)
    four = ((kind == _IPV4) | (kind == 0)) & (version == 4) & (at + 20 <= lengths)
    six = ((kind == _IPV6) | (kind == 0)) & (version == 6) & (at + 40 <= lengths)
    inner, whole = np.zeros(len(rows), "<i8"), four | six
    if four.any():
        _read_ipv4(data, at, four, inner, whole, out)
    if six.any():
        _read_ipv6(data, at, six, inner, whole, out)
    _read_transport(data, inner, whole, lengths, out)
    return out


def _skip_link(data: _Bytes, links: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the type of what the link layer carries, 0 where only its version tells, and where it begins."""
    kind, at = np.full(count, -1, "<i8"), np.zeros(count, "<i8")
    for link, (type_at, begin) in _LAYERS.items():
        here = links == link
        if here.any():
            kind[here] = 0 if type_at is None else data.number(np.full(count, type_at), 2).astype("<i8")[here]
            at[here] = begin
    for _ in range(2):
        tagged = np.isin(kind, _VLAN)
        if not tagged.any():
            break
        kind[tagged] = data.number(at + 2, 2).astype("<i8")[tagged]
        at[tagged] += 4
    labelled = np.isin(kind, _MPLS)
    for _ in range(_MAX_LABELS):
        if not labelled.any():
            break
        last = labelled & (data.number(at + 2, 1) & np.uint64(1) == 1)
        at[labelled] += 4
        kind[last] = 0
        labelled &= ~last
    return kind, at


def _read_ipv4(
    data: _Bytes, at: NDArray[Any], here: NDArray[Any], inner: NDArray[Any], whole: NDArray[Any], out: NDArray[Any]
) -> None:
    out["family"][here] = 4
    out["protocol"][here] = data.number(at + 9, 1)[here]
    out["ip_bytes"][here] = data.number(at + 2, 2)[here]
    for column, offset in (("source", 12), ("destination", 16)):
        out[column]["low"][here] = (data.number(at + offset, 4) | np.uint64(IPV4_PREFIX))[here]
    header_bytes = (data.number(at, 1).astype("<i8") & 15) * 4
    inner[here] = (at + header_bytes)[here]
    later = (data.number(at + 6, 2) & np.uint64(0x1FFF)) != 0  # a fragment behind the first: there are no ports
    whole[here & (later | (header_bytes < 20))] = False


def _read_ipv6(
    data: _Bytes, at: NDArray[Any], here: NDArray[Any], inner: NDArray[Any], whole: NDArray[Any], out: NDArray[Any]
) -> None:
    out["family"][here] = 6
    out["ip_bytes"][here] = (data.number(at + 4, 2) + np.uint64(40))[here]
    for column, offset in (("source", 8), ("destination", 24)):
        out[column]["high"][here] = data.number(at + offset, 8)[here]
        out[column]["low"][here] = data.number(at + offset + 8, 8)[here]
    following, place = data.number(at + 6, 1).astype("<i8"), at + 40
    for _ in range(_MAX_EXTENSIONS):
        extended = here & np.isin(following, _EXTENSIONS)
        if not extended.any():
            break
        after, units = data.number(place, 1).astype("<i8"), data.number(place + 1, 1).astype("<i8")
        later = (following == _FRAGMENT) & (data.number(place + 2, 2) >> np.uint64(3) != 0)
        whole[extended & later] = False
        size = np.where(following == _AUTHENTICATION, (units + 2) * 4, (units + 1) * 8)
        place = np.where(extended, place + np.where(following == _FRAGMENT, 8, size), place)
        following = np.where(extended, after, following)
    out["protocol"][here] = following[here]
    inner[here] = place[here]


def _read_transport(
    data: _Bytes, inner: NDArray[Any], whole: NDArray[Any], lengths: NDArray[Any], out: NDArray[Any]
) -> None:
    protocol = out["protocol"]
    ported = whole & np.isin(protocol, _WITH_PORTS) & (inner + 4 <= lengths)
    out["source_port"][ported] = data.number(inner, 2)[ported]
    out["destination_port"][ported] = data.number(inner + 2, 2)[ported]
    controlled = whole & np.isin(protocol, (_ICMP, _ICMP_6)) & (inner + 2 <= lengths)
    out["destination_port"][controlled] = data.number(inner, 2)[controlled]  # type * 256 + code
    flagged = whole & (protocol == _TCP) & (inner + 14 <= lengths)
    out["tcp_flags"][flagged] = (data.number(inner + 12, 2) & np.uint64(0x1FF))[flagged]
    carried = whole & (protocol == _UDP) & (inner + 8 <= lengths)
    out["payload"][carried] = (inner + 8)[carried]
