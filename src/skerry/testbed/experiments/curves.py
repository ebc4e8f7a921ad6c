"""Curves that an experiment hands to its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from skerry.pages.words import Unit

Line = Sequence[tuple[float, float]]
"""Points from left to right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """One picture with lines.

    Args:
        name: A word that no other picture of the report has.
        title: What it shows.
        across: What goes from left to right, with its unit if it has one.
        unit: Of what goes upwards.
        lines: By name, in the order of the legend; empty ones are left out.
        marks: Levels worth a line of their own, by name, such as a bar to pass.
        read: How to read it, in a sentence or two.
    """

    name: str
    title: str
    across: str
    unit: Unit
    lines: Mapping[str, Line]
    marks: Mapping[str, float] = field(default_factory=dict)
    read: str = ""
