"""A model that was exported and found equal to its original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """An ONNX model and what is known of where it came from.

    Args:
        content: The ONNX file, weights inside.
        feeds: The sample as the exported model takes it, by the name of the input.
        kind: ``classifier``, ``regressor`` or ``other``.
        labels: Names of the classes in the order of the probabilities; none where there are none.
        origin: The library and its version, such as ``scikit-learn 1.9.1``.
        original: The class of the original, with its module.
        worst_difference: Largest difference from the original on the sample, relative where values exceed 1.
        arithmetic: ``as given``, or ``float64`` where the graph computes in double precision inside.
    """

    content: bytes
    feeds: Mapping[str, Array]
    kind: str
    labels: tuple[str, ...] | None
    origin: str
    original: str
    worst_difference: float
    arithmetic: str

    def describe(self) -> dict[str, Any]:
        """Return what a manifest says about the export."""
        return {
            "from": self.origin,
            "original": self.original,
            "compared_rows": len(next(iter(self.feeds.values()))),
            "worst_difference": self.worst_difference,
            "arithmetic": self.arithmetic,
        }
