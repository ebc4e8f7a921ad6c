"""Ratios with their intervals."""

from __future__ import annotations

from typing import Any

from benchmarks.network.data import Rows
from skerry.scaling.evidence import wilson_bounds

SEED = 8
SURE_Z = 1.96


def ratio(hits: int, trials: int) -> dict[str, float]:
    """Return a ratio with its interval."""
    low, high = wilson_bounds(hits, trials, SURE_Z)
    return {"ratio": hits / trials if trials else 0.0, "low": low, "high": high, "of": trials}


def judge(rows: Rows, found: Any, normal: str) -> dict[str, Any]:
    """Return how often a model that tells attacks from the rest is right.

    Args:
        rows: What it was asked.
        found: Whether it said attack, for each row.
        normal: The class that is no attack.
    """
    is_normal = rows.classes == normal
    right = found != is_normal
    recalls = {
        str(name): ratio(int(found[rows.classes == name].sum()), int((rows.classes == name).sum()))
        for name in sorted(set(rows.classes))
        if name != normal
    }
    return {
        "accuracy": ratio(int(right.sum()), len(right)),
        "attack_recall": ratio(int(found[~is_normal].sum()), int((~is_normal).sum())),
        "false_positives": ratio(int(found[is_normal].sum()), int(is_normal.sum())),
        "recall_by_class": recalls,
    }
