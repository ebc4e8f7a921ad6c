"""Measuring a window: from flow records to features. Pure, and without a loop over records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.errors import ConfigError
from skerry.network.features.groups import Codes, code_addresses, code_numbers, join_codes, spread_of
from skerry.network.features.known import KnownSources
from skerry.network.features.table import ROW, FeatureTable
from skerry.network.features.windows import Window
from skerry.network.flows.batch import FlowBatch

_TCP = 6
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16

Column = NDArray[Any]


def measure(
    batch: FlowBatch,
    window: Window,
    *,
    by: tuple[str, ...] = ("destination", "protocol"),
    known: KnownSources | None = None,
) -> FeatureTable:
    """Return the features of a window.

    Args:
        batch: All records of the window.
        window: Which; only its width matters to the numbers.
        by: What a row stands for: ``("destination", "protocol")``, one of them, or ``()`` for all traffic.
        known: Sources that were seen before; without them all are new.

    Returns:
        A row for each group that has a record.

    Raises:
        ConfigError: ``by`` names another column.

    Example:
        >>> len(measure(FlowBatch(), Window(start_ms=0, width_ms=1000)))
        0
    """
    if not set(by) <= {"destination", "protocol"}:
        raise ConfigError(f"by={by!r}: features are by 'destination', 'protocol', both, or neither")
    if not len(batch):
        return FeatureTable(window=window, by=by, values=np.empty(0, ROW))
    groups = _groups(batch, by)
    out = np.zeros(groups.count, ROW)
    first = np.zeros(groups.count, np.int64)
    first[groups.of[::-1]] = np.arange(len(batch))[::-1]  # a record of each group, to take its name from
    for column in by:
        out[column] = batch[column][first]
    flows = np.bincount(groups.of, minlength=groups.count).astype(np.float64)
    packets = np.ascontiguousarray(batch["packets"])
    total = np.bincount(groups.of, packets, groups.count)
    _fill_rates(batch, window, groups, flows, total, out)
    _fill_spreads(batch, groups, packets, total, known, out)
    _fill_sizes(batch, groups, packets, total, flows, out)
    _fill_flags(batch, groups, packets, total, out)
    return FeatureTable(window=window, by=by, values=out)


def _groups(batch: FlowBatch, by: tuple[str, ...]) -> Codes:
    groups = Codes(of=np.zeros(len(batch), np.int64), count=1)
    if "destination" in by:
        groups = code_addresses(batch["destination"])
    if "protocol" in by:
        groups = join_codes(groups, code_numbers(batch["protocol"]))
    return groups


def _fill_rates(
    batch: FlowBatch, window: Window, groups: Codes, flows: Column, total: Column, out: NDArray[Any]
) -> None:
    out["flow_rate"] = flows / window.width_s
    out["packet_rate"] = total / window.width_s
    octets = np.bincount(groups.of, batch["bytes"], groups.count)
    out["byte_rate"] = octets / window.width_s
    out["packets_per_flow"] = total / flows
    duration_s = np.maximum(batch["last_ms"] - batch["first_ms"], 0) / 1000
    out["flow_duration_s"] = np.bincount(groups.of, duration_s, groups.count) / flows
    # A sampled packet stands for many, so a flow of which one packet was seen may have had more.
    single = batch["packets"] <= batch["sampling"]
    out["one_packet_ratio"] = np.bincount(groups.of, single, groups.count) / flows


def _fill_spreads(
    batch: FlowBatch, groups: Codes, packets: Column, total: Column, known: KnownSources | None, out: NDArray[Any]
) -> None:
    sources = code_addresses(batch["source"])
    spread = spread_of(groups, sources, packets, total)
    out["sources"] = spread.distinct
    out["source_entropy_bits"] = spread.entropy_bits
    out["top_source_ratio"] = spread.top_ratio
    fresh = np.ones(len(batch), bool) if known is None else ~known.knows(batch["source"])
    pairs = np.unique(groups.of[fresh] * sources.count + sources.of[fresh]) // sources.count
    out["new_source_ratio"] = np.bincount(pairs, minlength=groups.count) / spread.distinct
    out["source_port_entropy_bits"] = spread_of(groups, code_numbers(batch["source_port"]), packets, total).entropy_bits
    ports = spread_of(groups, code_numbers(batch["destination_port"]), packets, total)
    out["destination_ports"] = ports.distinct
    out["destination_port_entropy_bits"] = ports.entropy_bits
    out["top_destination_port_ratio"] = ports.top_ratio


def _fill_sizes(
    batch: FlowBatch, groups: Codes, packets: Column, total: Column, flows: Column, out: NDArray[Any]
) -> None:
    size = batch["bytes"] / np.maximum(packets, 1e-12)
    size[packets <= 0] = 0
    some = np.maximum(total, 1e-12)
    mean = np.bincount(groups.of, packets * size, groups.count) / some
    square = np.bincount(groups.of, packets * (size - mean[groups.of]) ** 2, groups.count) / some
    out["packet_bytes"] = mean
    out["packet_bytes_deviation"] = np.sqrt(square)
    rounded = np.minimum(size, 65_535).astype(np.uint16)
    out["packet_bytes_entropy_bits"] = spread_of(groups, code_numbers(rounded), packets, total).entropy_bits


def _fill_flags(batch: FlowBatch, groups: Codes, packets: Column, total: Column, out: NDArray[Any]) -> None:
    tcp = np.where(batch["protocol"] == _TCP, packets, 0.0)
    if not tcp.any():
        return
    flags = batch["tcp_flags"] & 0x1F
    plain = flags & (0x1F - _PSH)
    kinds = {
        "syn_ratio": flags & (_SYN | _ACK | _RST) == _SYN,
        "syn_ack_ratio": plain == _SYN | _ACK,
        "ack_ratio": plain == _ACK,
        "fin_ratio": flags & _FIN != 0,
        "rst_ratio": flags & _RST != 0,
        "no_flag_ratio": flags == 0,
    }
    some = np.maximum(total, 1e-12)
    for name, chosen in kinds.items():
        out[name] = np.bincount(groups.of, tcp * chosen, groups.count) / some
