"""Checks that every relative link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from tools.places import name_of, pages

_LINK = re.compile(r"(?<!\\)\[[^\]\n]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")


def check() -> list[str]:
    """Return the links that lead nowhere."""
    problems = []
    for page in pages():
        text = _CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
        for target in _LINK.findall(text):
            if not target.startswith(("http://", "https://", "mailto:")) and not _resolves(page, target):
                problems.append(f"{name_of(page)}: {target} leads nowhere")
    return problems


def _resolves(page: Path, target: str) -> bool:
    place, _, anchor = target.partition("#")
    path = (page.parent / place).resolve() if place else page
    if not path.exists():
        return False
    return not anchor or path.suffix != ".md" or anchor in _anchors(path)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}
