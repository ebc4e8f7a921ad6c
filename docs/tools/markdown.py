"""Small pieces of Markdown: tables, and docstrings in Google's style as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence

_ROLE = re.compile(r":(?:func|class|meth|mod|attr):`~?([^`]*)`")
_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Example|Source):(?: (.*))?")
_ITEM = re.compile(r"(\*{0,2}\w+): (.*)")
_TITLES = {"Args": "Arguments", "Attributes": "Attributes", "Raises": "Raises"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; ``|`` in its cells is escaped."""
    lines = [list(head), ["---"] * len(head), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def inline(text: str) -> str:
    """Return a docstring's text with its literals as Markdown's."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def first_line(subject: object) -> str:
    """Return the summary of a docstring."""
    return inline((inspect.getdoc(subject) or "").partition("\n\n")[0].replace("\n", " "))


def from_docstring(text: str) -> str:
    """Return a docstring as Markdown: sections with items become lists, the rest stays as it is."""
    out: list[str] = []
    section = ""
    for line in inspect.cleandoc(text).splitlines():
        head = _SECTION.fullmatch(line)
        if head:
            section = head[1]
            out += ["", f"*{_TITLES.get(section, section)}:*{' ' + inline(head[2]) if head[2] else ''}", ""]
            continue
        if line and not line.startswith(" "):
            section = ""
        out.append(_in_section(line, section))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(out)).strip() + "\n"


def _in_section(line: str, section: str) -> str:
    body = line[4:] if line.startswith("    ") else line
    item = _ITEM.fullmatch(body)
    if section in _TITLES and item and not body.startswith(" "):
        return f"- `{item[1]}`: {inline(item[2])}"
    if section == "Example":
        return f"    {body}" if _is_code(body) else inline(body)
    return f"  {inline(body.strip())}" if section in _TITLES and body else inline(body)


def _is_code(line: str) -> bool:
    return line.startswith((">>>", "..."))
