"""Features as columns: one row for each destination and protocol of a window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.features.windows import Window
from skerry.network.flows.batch import ADDRESS, address_text

# The features, in the order of a row of ``FeatureTable.matrix``. Ratios are shares of packets, but for ``new_source``
# (of sources) and ``one_packet`` (of flows); entropies are weighted by packets, in bits.
FEATURES = (
    "flow_rate",  # flows, packets and bytes per second
    "packet_rate",
    "byte_rate",
    "sources",  # different ones
    "source_entropy_bits",
    "top_source_ratio",
    "new_source_ratio",
    "source_port_entropy_bits",
    "destination_ports",
    "destination_port_entropy_bits",
    "top_destination_port_ratio",
    "packet_bytes",  # mean size, and how it spreads
    "packet_bytes_deviation",
    "packet_bytes_entropy_bits",
    "packets_per_flow",
    "one_packet_ratio",
    "flow_duration_s",
    "syn_ratio",  # SYN, and neither ACK nor RST: connections that nobody has answered
    "syn_ack_ratio",  # SYN and ACK alone: answers
    "ack_ratio",  # ACK alone, or with PSH: data
    "fin_ratio",
    "rst_ratio",
    "no_flag_ratio",
)

ROW = np.dtype([("destination", ADDRESS), ("protocol", "u1"), *[(name, "<f8") for name in FEATURES]])


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTable:
    """The features of a window.

    Args:
        window: Which.
        by: What a row stands for: ``destination``, ``protocol``, both, or neither for all traffic. A column that is not
            in it is 0.
        values: Array of dtype ``ROW``.
    """

    window: Window
    by: tuple[str, ...]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column by name, as a view."""
        column_values: NDArray[Any] = self.values[column]
        return column_values

    def matrix(self) -> NDArray[np.float64]:
        """Return the features as a matrix, a row for each row and a column for each of ``FEATURES``: for models."""
        if not len(self.values):
            return np.empty((0, len(FEATURES)))
        return np.stack([self.values[name] for name in FEATURES], axis=1)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row as plain values: for people and for JSON."""
        for row in self.values.tolist():
            named = dict(zip(ROW.names or (), row, strict=True))
            named["destination"] = address_text(*named["destination"]) if "destination" in self.by else None
            named["protocol"] = named["protocol"] if "protocol" in self.by else None
            yield named
