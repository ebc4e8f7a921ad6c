"""Where the documentation is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
REFERENCE = DOCS / "reference"
GENERATED = "<!-- Written by docs/build.py from the code. Do not edit: change the code and run `make docs`. -->\n"


def pages() -> Iterator[Path]:
    """Yield every Markdown page that people read."""
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"):
        if (ROOT / name).is_file():
            yield ROOT / name
    yield from sorted(DOCS.rglob("*.md"))


def written_pages() -> Iterator[Path]:
    """Yield the pages that people write, which are all but the reference."""
    return (page for page in pages() if not page.is_relative_to(REFERENCE))


def name_of(page: Path) -> str:
    """Return a page's path inside the repository."""
    return str(page.relative_to(ROOT))
