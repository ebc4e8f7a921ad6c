"""The metrics of a process, by name, and their text for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from skerry.observe.exposition import escape_help, label_text
from skerry.observe.instruments import Instrument

TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

T = TypeVar("T", bound=Instrument)

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Family:
    """The children of one metric: its name, its help, and the names of its labels.

    Args:
        name: In Prometheus' form, with its unit; a counter's ends in ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help_text: What it counts, for people.
        labels: Names of the labels that every child has a value for.
    """

    def __init__(self, name: str, kind: str, help_text: str, labels: Sequence[str]) -> None:
        if not _NAME.fullmatch(name) or (kind == "counter") != name.endswith("_total"):
            raise ValueError(
                f"metric {name!r}: use letters, digits and _; a counter's name, and no other, ends in _total"
            )
        for label in labels:
            if not _LABEL.fullmatch(label) or label == "le":
                raise ValueError(f"metric {name}: {label!r} cannot be a label; use letters, digits and _, and not le")
        self.name = name
        self.kind = kind
        self.help_text = help_text
        self.labels = tuple(labels)
        self.children: dict[tuple[str, ...], Instrument] = {}

    def add(self, values: Sequence[str], child: T) -> T:
        """Show a child under these label values, in place of an older one, and return it."""
        if len(values) != len(self.labels):
            raise ValueError(f"metric {self.name}: {len(values)} values for the labels {', '.join(self.labels)}")
        self.children[tuple(values)] = child
        return child

    def remove(self, values: Sequence[str], child: Instrument) -> None:
        """Show a child no more, unless another has taken its place."""
        if self.children.get(tuple(values)) is child:
            del self.children[tuple(values)]

    def lines(self, *, openmetrics: bool) -> Iterator[str]:
        """Yield the lines of the text; none while there is no child. OpenMetrics names a counter without ``_total``."""
        if not self.children:
            return
        name = self.name.removesuffix("_total") if openmetrics else self.name
        yield f"# HELP {name} {escape_help(self.help_text, openmetrics=openmetrics)}"
        yield f"# TYPE {name} {self.kind}"
        for values, child in self.children.items():
            yield from child.lines(self.name, label_text(self.labels, values))


class Registry:
    """All metrics of one process."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}

    def family(self, name: str, kind: str, help_text: str, labels: Sequence[str] = ()) -> Family:
        """Declare a metric.

        Raises:
            ValueError: a name that Prometheus does not read, or one that is taken.
        """
        if name in self.families:
            raise ValueError(f"metric {name} is declared twice")
        self.families[name] = family = Family(name, kind, help_text, labels)
        return family

    def render(self, *, openmetrics: bool = False) -> bytes:
        """Return what is counted, in Prometheus' text format 0.0.4 or as OpenMetrics 1.0."""
        lines = [line for family in self.families.values() for line in family.lines(openmetrics=openmetrics)]
        if openmetrics:
            lines.append("# EOF")
        return "".join(f"{line}\n" for line in lines).encode()

    def exposition(self, accept: str | None) -> tuple[bytes, str]:
        """Return the text that the ``Accept`` header of a scrape asks for, and its content type."""
        openmetrics = accept is not None and "application/openmetrics-text" in accept
        return self.render(openmetrics=openmetrics), OPENMETRICS_TYPE if openmetrics else TEXT_TYPE
