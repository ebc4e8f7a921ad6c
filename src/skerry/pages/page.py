"""The page around the parts, and the file that it becomes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from string import Template

from skerry.pages.parts import paragraph
from skerry.pages.parts import text as escape

TEMPLATE = Path(__file__).with_name("page.template.html")


def fill_page(title: str, lead: Sequence[str], sections: Sequence[str]) -> str:
    """Return a whole page.

    Args:
        title: Its title.
        lead: Paragraphs below the title.
        sections: Sections, as HTML.
    """
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title), lead="".join(map(paragraph, lead)), sections="".join(sections)
    )


def write_page(page: str, path: Path) -> Path:
    """Write a page to a file, whole or not at all, and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(page, encoding="utf-8")
    draft.replace(path)
    return path
