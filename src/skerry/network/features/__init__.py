"""Features: what flow records of a time window say about each destination and protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skerry.network.lazy import load

if TYPE_CHECKING:
    from skerry.network.features.known import KnownSources
    from skerry.network.features.measuring import measure
    from skerry.network.features.table import FEATURES, FeatureTable
    from skerry.network.features.windows import Window, split

__all__ = ["FEATURES", "FeatureTable", "KnownSources", "Window", "measure", "split"]

_WHERE = {
    "FEATURES": "table",
    "FeatureTable": "table",
    "KnownSources": "known",
    "Window": "windows",
    "measure": "measuring",
    "split": "windows",
}


def __getattr__(name: str) -> object:
    value = globals()[name] = load(__name__, _WHERE, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
