"""Features: what flow records of a time window say about each destination and protocol."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.network.features.known import KnownSources
    from skerry.network.features.measuring import measure
    from skerry.network.features.table import FEATURES, FeatureTable
    from skerry.network.features.windows import Window, split

__all__ = ["FEATURES", "FeatureTable", "KnownSources", "Window", "measure", "split"]

# NumPy is an extra.
_LAZY = {
    "FEATURES": "table",
    "FeatureTable": "table",
    "KnownSources": "known",
    "Window": "windows",
    "measure": "measuring",
    "split": "windows",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
