"""From the fields of a template to the columns of a batch, a whole column at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.batch import ADDRESS, FLOW, IPV4_PREFIX
from skerry.network.flows.layout import Layout
from skerry.network.flows.origin import Chunk
from skerry.network.flows.times import fill_times

_ICMP = (1, 58)

# Our side of a record: what its datagram said.
BASE = np.dtype(
    [
        ("received_ms", "<i8"),
        ("exporter", ADDRESS),
        ("domain", "<u4"),
        ("export_ms", "<i8"),
        ("boot_ms", "<i8"),
        ("rate", "<f8"),
    ]
)


class View:
    """The fields of many records of one layout, as columns of native numbers."""

    def __init__(self, layout: Layout, body: bytes) -> None:
        self._layout = layout
        self._fields = np.frombuffer(body, layout.dtype)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, column: str) -> bool:
        return column in self._layout.columns

    def raw(self, column: str) -> NDArray[Any]:
        """Return a field as it lies there."""
        values: NDArray[Any] = self._fields[column]
        return values

    def numbers(self, column: str) -> NDArray[Any]:
        """Return a field as unsigned numbers of 64 bits."""
        values = self._fields[column]
        if column not in self._layout.odd:
            native: NDArray[Any] = values.astype("<u8")
            return native
        total = np.zeros(len(values), "<u8")
        for byte in range(values.shape[1]):
            total = total << np.uint64(8) | values[:, byte]
        return total


def fill(layout: Layout, chunks: Sequence[Chunk]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turn chunks of one layout into records.

    Args:
        layout: Of flows.
        chunks: At least one.

    Returns:
        Records of dtype ``FLOW``, and for each the turn of its chunk.
    """
    view = View(layout, b"".join([chunk.body for chunk in chunks]))
    base, order = spread(chunks)
    out = np.zeros(len(view), FLOW)
    for column in ("received_ms", "exporter", "domain"):
        out[column] = base[column]
    _fill_ends(view, out)
    fill_times(view, base, out)
    out["sampling"] = _rates(view, base, chunks)
    out["packets"] = view.raw("packets") if _plain(view, layout, "packets") else _amount(view, "packets", missing=1)
    out["bytes"] = view.raw("bytes") if _plain(view, layout, "bytes") else _amount(view, "bytes", missing=0)
    out["packets"] *= out["sampling"]
    out["bytes"] *= out["sampling"]
    out["tcp_flags"] = _flags(view)
    if "reverse_packets" in view or "reverse_bytes" in view:
        return _with_reverse(view, out, order)
    return out, order


def spread(chunks: Sequence[Chunk]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return for each record what its datagram said (dtype ``BASE``), and the turn of its chunk."""
    counts = np.array([chunk.count for chunk in chunks])
    said = np.array([_said(chunk) for chunk in chunks], BASE)
    order = np.array([chunk.order for chunk in chunks])
    return np.repeat(said, counts), np.repeat(order, counts)


def _said(chunk: Chunk) -> tuple[int, tuple[int, int], int, int, int, float]:
    origin = chunk.origin
    domain = origin.domain
    boot_ms = origin.boot_ms or domain.boot_ms
    rate = origin.rate or domain.rate
    return origin.received_ms, domain.exporter, origin.number, origin.export_ms, boot_ms, rate


def _plain(view: View, layout: Layout, column: str) -> bool:
    return column in view and column not in layout.odd


def _amount(view: View, column: str, missing: int) -> NDArray[Any]:
    return view.numbers(column) if column in view else np.full(len(view), missing, "<u8")


def _fill_ends(view: View, out: NDArray[Any]) -> None:
    if "protocol" in view:
        out["protocol"] = view.numbers("protocol")
    for end in ("source", "destination"):
        if f"{end}_port" in view:
            out[f"{end}_port"] = view.numbers(f"{end}_port")
        if f"{end}_4" in view:
            out[end]["low"] = view.raw(f"{end}_4") | np.uint64(IPV4_PREFIX)
        if f"{end}_6" in view:
            _fill_long(view, out, end)
    control = np.isin(out["protocol"], _ICMP)
    if control.any():
        _fill_icmp(view, control, out)


def _fill_long(view: View, out: NDArray[Any], end: str) -> None:
    """Fill in IPv6 addresses; where a template has both kinds, only those of records that have no IPv4 address."""
    halves = view.raw(f"{end}_6").astype("<u8")
    chosen = np.ones(len(out), bool)
    if f"{end}_4" in view:
        chosen = view.raw(f"{end}_4") == 0
    column = out[end]
    column["high"][chosen] = halves[chosen, 0]
    column["low"][chosen] = halves[chosen, 1]


def _fill_icmp(view: View, control: NDArray[np.bool_], out: NDArray[Any]) -> None:
    """Put type and code where most exporters put them: into the destination port."""
    both = out["destination_port"]
    if "icmp" in view:
        both = view.numbers("icmp")
    elif "icmp_type" in view:
        both = view.numbers("icmp_type") << np.uint64(8)
        if "icmp_code" in view:
            both = both | view.numbers("icmp_code")
    # fprobe has the type in the low byte of the source port, and the code in the high one.
    swapped = out["source_port"].byteswap()
    out["destination_port"][control] = np.where((both == 0) & (swapped != 0), swapped, both)[control]
    out["source_port"][control] = 0


def _rates(view: View, base: NDArray[Any], chunks: Sequence[Chunk]) -> NDArray[Any]:
    """Return the sampling rate of each record: its own, else that of its sampler or interface, else its domain's."""
    rates: NDArray[Any] = base["rate"].copy()
    for kind in ("interface", "sampler"):
        if kind in view:
            _look_up(view.numbers(kind), kind, chunks, rates)
    if "interval" in view:
        own = view.numbers("interval")
        rates = np.where(own > 0, own.astype("<f8"), rates)
    return rates


def _look_up(numbers: NDArray[Any], kind: str, chunks: Sequence[Chunk], rates: NDArray[Any]) -> None:
    at = 0
    for chunk in chunks:
        known = chunk.origin.domain.rates.get(kind)
        if known:
            here = slice(at, at + chunk.count)
            rates[here] = [known.get(*pair) for pair in zip(numbers[here].tolist(), rates[here].tolist(), strict=True)]
        at += chunk.count


def _flags(view: View) -> NDArray[Any] | int:
    if "tcp_flags" in view:
        flags: NDArray[Any] = view.numbers("tcp_flags") & np.uint64(0xFFF)
        return flags
    return sum((view.numbers(f"tcp_count_{i}") > 0) * (1 << i) for i in range(6) if f"tcp_count_{i}" in view)


def _with_reverse(view: View, out: NDArray[Any], order: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Add a record for the way back of each that has one (RFC 5103)."""
    packets = _amount(view, "reverse_packets", missing=0)
    octets = _amount(view, "reverse_bytes", missing=0)
    chosen = (packets > 0) | (octets > 0)
    back = out[chosen].copy()
    forth = out[chosen]
    back["source"], back["destination"] = forth["destination"], forth["source"]
    back["source_port"], back["destination_port"] = forth["destination_port"], forth["source_port"]
    back["packets"] = packets[chosen] * back["sampling"]
    back["bytes"] = octets[chosen] * back["sampling"]
    back["tcp_flags"] = 0
    if "reverse_tcp_flags" in view:
        back["tcp_flags"] = view.numbers("reverse_tcp_flags")[chosen] & np.uint64(0xFFF)
    return np.concatenate([out, back]), np.concatenate([order, order[chosen]])
