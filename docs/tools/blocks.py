"""Checks of the Python blocks in the pages: all are Python; those tagged ``python run`` are run, by the tests."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.places import name_of, written_pages

TIMEOUT_S = 120.0
_BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A Python block: the page and line where it stands, its tags, and its code."""

    page: str
    line: int
    tags: tuple[str, ...]
    code: str


def find_blocks() -> Iterator[Block]:
    """Yield every Python block of the pages that people write."""
    for page in written_pages():
        text = page.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 2
            yield Block(name_of(page), line, tuple(match[1].split()), match[2])


def check_syntax() -> list[str]:
    """Return the blocks that are not Python."""
    problems = []
    for block in find_blocks():
        try:
            ast.parse(block.code)
        except SyntaxError as error:
            problems.append(f"{block.page}, line {block.line + (error.lineno or 1) - 1}: {error.msg}")
    return problems


def run(block: Block) -> list[str]:
    """Run one block as a program in a folder of its own; return what went wrong."""
    with tempfile.TemporaryDirectory(prefix="skerry-docs-") as folder:
        program = Path(folder, "app.py")
        program.write_text(block.code, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SKERRY_")}
        environment |= {"SKERRY_HOME": f"{folder}/home", "SKERRY_MODEL_CACHE": f"{folder}/fetched"}
        try:
            done = subprocess.run(
                [sys.executable, program.name],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return [f"{block.page}, line {block.line}: took longer than {TIMEOUT_S:g} s"]
    if done.returncode == 0:
        return []
    last = done.stderr.strip().splitlines() or ["it said nothing"]
    return [f"{block.page}, line {block.line}: exit code {done.returncode}: {last[-1]}"]
