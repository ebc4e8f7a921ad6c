"""Packets as flow records of one packet each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.network.flows.batch import FLOW

_SAME = ("source", "destination", "source_port", "destination_port", "protocol", "tcp_flags")

# Bytes of an Ethernet header: what is taken off the length of a frame where IP does not say its own.
_ETHERNET_BYTES = 14


def records_of(headers: NDArray[Any], wire_bytes: NDArray[Any], rate: NDArray[Any]) -> NDArray[Any]:
    """Turn the headers of IP packets into flow records.

    Args:
        headers: Of dtype ``PACKET``, all with a family.
        wire_bytes: The length of each frame on the wire.
        rate: How many packets each stands for.

    Returns:
        Records of dtype ``FLOW``, without the columns that say when and from where.
    """
    out = np.zeros(len(headers), FLOW)
    for column in _SAME:
        out[column] = headers[column]
    out["sampling"] = rate
    out["packets"] = rate
    # Offloading makes frames whose IP length is 0.
    own = headers["ip_bytes"].astype("<i8")
    out["bytes"] = np.where(own > 0, own, np.maximum(wire_bytes.astype("<i8") - _ETHERNET_BYTES, 0)) * rate
    return out
