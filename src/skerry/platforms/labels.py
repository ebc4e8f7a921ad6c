"""Which files of a project must not leave their site, as its ``skerry.toml`` says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from skerry.spec import PROJECT_FILE, read_project_file


class DataLabels:
    """The labels of ``[data]`` in the projects of some folders.

    Args:
        folders: Where a ``skerry.toml`` may be.

    Raises:
        SpecError: one of them is not one.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        bases = dict.fromkeys(os.path.realpath(folder) for folder in folders)
        self._patterns = [(base, pattern) for base in bases for pattern in _patterns_of(base)]

    def is_local(self, path: str) -> bool:
        """Return whether a file, or a folder that it is in, is labelled local; links are followed.

        Args:
            path: Absolute.
        """
        if not self._patterns:
            return False
        for place in {os.path.abspath(path), os.path.realpath(path)}:
            for base, pattern in self._patterns:
                seen = place if os.path.isabs(pattern) else os.path.relpath(place, base)
                if any(fnmatchcase(part, pattern.rstrip("/")) for part in _with_parents(seen)):
                    return True
        return False


def _with_parents(path: str) -> Iterator[str]:
    while path not in ("", "/"):
        yield path
        path = os.path.dirname(path)


def _patterns_of(folder: str) -> tuple[str, ...]:
    project = os.path.join(folder, PROJECT_FILE)
    try:
        found = os.stat(project)
    except OSError:
        return ()
    return _read(project, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=64)
def _read(project: str, modified_ns: int, size_bytes: int) -> tuple[str, ...]:
    """Return the patterns of a file as it was when it had this time and size."""
    return tuple(read_project_file(Path(project)).get("data", {}).get("local", ()))
