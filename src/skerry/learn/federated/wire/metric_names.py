"""Names of metrics: the client's own, shown to people on terminals and pages."""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import repr as show

from skerry.spec.characters import has_control

LONGEST = 200  # letters


def wrong_name(names: Iterable[str]) -> str:
    """Return what is wrong with the first name that is none of a metric; an empty text where all are such."""
    for name in names:
        if len(name) > LONGEST:
            return f"the name of metric {show(name)} has {len(name)} letters; the most is {LONGEST}"
        if has_control(name) or not {"<", ">"}.isdisjoint(name):
            return f"the name of metric {show(name)} holds control characters, < or >"
    return ""
