"""Flow records: decoding what exporters send, collecting it, recording it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skerry.network.lazy import load

if TYPE_CHECKING:
    from skerry.network.flows.batch import FlowBatch
    from skerry.network.flows.collector import FlowCollector
    from skerry.network.flows.counts import Counts
    from skerry.network.flows.datagram import Datagram
    from skerry.network.flows.decoder import FlowDecoder
    from skerry.network.flows.packets.recording import Recording, read_datagrams, read_packets

__all__ = [
    "Counts",
    "Datagram",
    "FlowBatch",
    "FlowCollector",
    "FlowDecoder",
    "Recording",
    "read_datagrams",
    "read_packets",
]

_WHERE = {
    "Counts": "counts",
    "Datagram": "datagram",
    "FlowBatch": "batch",
    "FlowCollector": "collector",
    "FlowDecoder": "decoder",
    "Recording": "packets.recording",
    "read_datagrams": "packets.recording",
    "read_packets": "packets.recording",
}


def __getattr__(name: str) -> object:
    value = globals()[name] = load(__name__, _WHERE, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
