"""Checks of the pages' text: nothing of one machine, and nothing left to be written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tools.places import DOCS, ROOT, name_of, pages

# Folders of one person's or one machine's; Ada is everybody's example.
_MACHINE = re.compile(r"(?<![\w.~-])/(?:root|Users|mnt|tmp|home/(?!ada\b))[/\w]")
_UNWRITTEN = re.compile(r"\b(?:TODO|FIXME|XXX|TBD)\b")


def check() -> list[str]:
    """Return the places where a page names a machine's folder, or says that it is not written yet."""
    problems = []
    for page in [*pages(), *sorted(DOCS.rglob("*.py"))]:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            problems += [f"{name_of(page)}, line {number}: {why}" for why in _look_at(line, page)]
    return problems


def _look_at(line: str, page: Path) -> Iterator[str]:
    own = len(ROOT.parts) > 2 and str(ROOT) in line
    if own or (page.suffix == ".md" and _MACHINE.search(line)):
        yield "names a folder of one machine"
    if page.suffix == ".md" and _UNWRITTEN.search(line):
        yield "is not written yet"
