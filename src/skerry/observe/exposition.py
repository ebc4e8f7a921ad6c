"""Numbers, labels and samples as Prometheus reads them.

Source: Prometheus, exposition formats, text format 0.0.4; OpenMetrics 1.0.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_VALUE_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def number_text(value: float) -> str:
    """Return a number: ``1``, ``0.5``, ``+Inf``, ``NaN``."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"


def label_text(names: Sequence[str], values: Sequence[str]) -> str:
    """Return labels without their braces, the values escaped."""
    return ",".join(f'{name}="{value.translate(_VALUE_ESCAPES)}"' for name, value in zip(names, values, strict=True))


def escape_help(text: str, *, openmetrics: bool) -> str:
    """Return a help text for its line; OpenMetrics escapes quotes in it, the older format does not."""
    return text.translate(_VALUE_ESCAPES if openmetrics else _HELP_ESCAPES)


def sample(name: str, labels: str, value: float) -> str:
    """Return one line."""
    return f"{name}{{{labels}}} {number_text(value)}" if labels else f"{name} {number_text(value)}"
