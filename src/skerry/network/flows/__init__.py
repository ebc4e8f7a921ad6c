"""Flow records: decoding what exporters send, and collecting it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.network.flows.batch import FlowBatch
    from skerry.network.flows.counts import Counts
    from skerry.network.flows.datagram import Datagram
    from skerry.network.flows.decoder import FlowDecoder

__all__ = ["Counts", "Datagram", "FlowBatch", "FlowDecoder"]

# NumPy is an extra.
_LAZY = {"Counts": "counts", "Datagram": "datagram", "FlowBatch": "batch", "FlowDecoder": "decoder"}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
