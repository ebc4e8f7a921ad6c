"""Values of metrics as people read them."""

from __future__ import annotations

SHARES = ("accuracy", "precision", "recall", "f1", "auc")


def is_share(metric: str) -> bool:
    """Return whether a metric is a share from 0 to 1 by its name."""
    return metric.endswith(SHARES) or metric.endswith("_ratio")


def say_metric(metric: str, value: float) -> str:
    """Return a metric's value: shares in percent, others in four digits."""
    return f"{value * 100:.1f} %" if is_share(metric) else f"{value:.4g}"
