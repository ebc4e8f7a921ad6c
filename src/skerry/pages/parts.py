"""Pieces of a page: text that is safe, tables, sections."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

LONGEST_NAME = 28  # what is longer may be broken into lines


def text(value: object) -> str:
    """Return a value as text that HTML takes for nothing else."""
    return html.escape(str(value))


def paragraph(words: str, kind: str = "") -> str:
    """Return words as a paragraph."""
    return f"<p{_class(kind)}>{text(words)}</p>"


def bullets(lines: Iterable[str]) -> str:
    """Return lines as a list; nothing without any."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def section(title: str, *parts: str, kind: str = "") -> str:
    """Return a section of a page; nothing when it is empty."""
    body = "".join(parts)
    return f"<section{_class(kind)}><h2>{text(title)}</h2>{body}</section>" if body else ""


def scroll(content: str) -> str:
    """Return content that a narrow screen moves sideways."""
    return f'<div class="scroll">{content}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Return a table; nothing without rows.

    Args:
        columns: Heads of the columns.
        rows: Texts, one per column.
        words: How many columns from the left hold words; the others hold numbers.
    """
    if not rows:
        return ""
    head = "".join(f"<th>{text(column)}</th>" for column in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_class(_kind(cell, is_number=i >= words))}>{text(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return scroll(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def facts(values: Mapping[str, Any]) -> str:
    """Return nested plain values as a table of names and texts."""
    return table(["", ""], [[name, value] for name, value in _flatten(values)], words=2)


def _flatten(values: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        label = f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{label}: ")
        elif isinstance(value, list | tuple):
            yield label, ", ".join(map(str, value))
        elif value is not None:
            yield label, f"{value:g}" if isinstance(value, float) else str(value)


def _kind(cell: str, *, is_number: bool) -> str:
    return "number" if is_number else "name" if len(cell) <= LONGEST_NAME else ""


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
