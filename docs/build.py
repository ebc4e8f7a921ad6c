"""Write the reference pages from the code, and check the documentation against it.

``python docs/build.py`` writes the pages of ``docs/reference``. ``python docs/build.py --check`` writes nothing, says
what is wrong and exits with 1 when anything is. The blocks tagged ``python run`` are run by the tests.
"""

from __future__ import annotations

import argparse
import sys

from tools import api, blocks, cli, errors, http, links, options, prose
from tools.places import REFERENCE, ROOT

PAGES = {
    "api.md": api.render,
    "cli.md": cli.render,
    "errors.md": errors.render,
    "http.md": http.render,
    "options.md": options.render,
}
CHECKS = {
    "links": links.check,
    "code blocks": blocks.check_syntax,
    "commands": cli.check,
    "error codes": errors.check,
    "HTTP addresses": http.check,
    "prose": prose.check,
}


def write_pages() -> list[str]:
    """Write every page of the reference whose content has changed; return their names."""
    REFERENCE.mkdir(exist_ok=True)
    changed = stale_pages()
    for name in changed:
        (REFERENCE / name).write_text(PAGES[name](), encoding="utf-8")
    return changed


def stale_pages() -> list[str]:
    """Return the names of the pages that are not what the code says now."""
    return [
        name
        for name, render in PAGES.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text(encoding="utf-8") != render()
    ]


def find_problems() -> list[str]:
    """Return what is wrong, one line each."""
    problems = [f"docs/reference/{name}: not up to date; run `make docs`" for name in stale_pages()]
    for title, check in CHECKS.items():
        problems += [f"{title}: {problem}" for problem in check()]
    return problems


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code, or check the documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when something is wrong")
    if not parser.parse_args().check:
        changed = write_pages()
        print(f"{len(PAGES)} pages, {len(changed)} written in {REFERENCE.relative_to(ROOT)}")
        return 0
    problems = find_problems()
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
