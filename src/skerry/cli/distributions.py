"""Installed distributions: how large they are, what they require, which modules they bring."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

import skerry.errors

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?[^;]*(?:;(.*))?", re.DOTALL)
EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
OWN = "skerry"
TEST_FOLDERS = frozenset({"test", "tests", "testing"})
HEADER_SUFFIXES = frozenset({".h", ".hpp", ".cuh", ".pxd", ".a", ".pyi", ".cmake"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of what an app or a library needs.

    Args:
        name: The distribution, in its normal form.
        extras: Extras of it that are asked for.
        of_extra: The extra of the requiring library that it belongs to; none when it is always needed.
        conditional: Whether it is needed on some machines only.
    """

    name: str
    extras: frozenset[str] = frozenset()
    of_extra: str | None = None
    conditional: bool = False

    @classmethod
    def parse(cls, text: str) -> Requirement | None:
        """Return what a line as in ``numpy>=2; python_version < "3.12"`` asks for; none when it is no such line."""
        match = REQUIREMENT.match(text)
        if match is None:
            return None
        extras = frozenset(normal(extra) for extra in (match[2] or "").split(",") if extra.strip())
        extra = EXTRA.search(match[3] or "")
        return cls(normal(match[1]), extras, None if extra is None else normal(extra[1]), bool(match[3]))


def normal(name: str) -> str:
    """Return a distribution's name in the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


@dataclass(frozen=True)
class Installed:
    """One distribution on disk.

    Args:
        name: Its name, in normal form.
        version: Its version.
        size_bytes: Its files, without caches of bytecode.
        tests_bytes: Of these, tests.
        headers_bytes: Of these, what only compilers and type checkers read.
        requires: What it needs.
        modules: Top-level modules that it brings.
    """

    name: str
    version: str
    size_bytes: int
    tests_bytes: int
    headers_bytes: int
    requires: tuple[Requirement, ...]
    modules: frozenset[str]


@dataclass
class Site:
    """The distributions of one Python environment.

    Args:
        folder: Its ``site-packages``; none for the interpreter that runs this.
    """

    folder: Path | None = None
    _measured: dict[str, Installed] = field(default_factory=dict)

    def find(self, name: str) -> Installed | None:
        """Return a distribution by name, measured; none when it is not installed."""
        if name not in self._measured:
            found = self._all.get(name) or (_own() if name == OWN else None)
            if found is None:
                return None
            self._measured[name] = _measure(name, found)
        return self._measured[name]

    def owner_of(self, module: str) -> str | None:
        """Return the distribution that brings a top-level module; none when nothing that is installed does."""
        if module == OWN:
            return OWN
        return self._owners.get(module)

    def closure(self, roots: Iterable[Requirement]) -> tuple[dict[str, str], set[str]]:
        """Return all distributions that some need, by who needs them, and the names of those that are not installed.

        Of what is needed on some machines only, what is installed counts.

        Args:
            roots: What is needed in the first place; it is needed by ``the app``.
        """
        needed: dict[str, str] = {}
        missing: set[str] = set()
        seen: set[tuple[str, frozenset[str]]] = set()
        waiting = [(root, "the app") for root in roots]
        while waiting:
            wanted, by = waiting.pop(0)
            found = self.find(wanted.name)
            if found is None:
                if not wanted.conditional:
                    missing.add(wanted.name)
                continue
            needed.setdefault(wanted.name, by)
            if (wanted.name, wanted.extras) in seen:
                continue
            seen.add((wanted.name, wanted.extras))
            waiting += [
                (one, wanted.name) for one in found.requires if one.of_extra is None or one.of_extra in wanted.extras
            ]
        return needed, missing

    @cached_property
    def _all(self) -> dict[str, importlib.metadata.Distribution]:
        found: dict[str, importlib.metadata.Distribution] = {}
        for one in importlib.metadata.distributions(path=sys.path if self.folder is None else [str(self.folder)]):
            found.setdefault(normal(one.metadata["Name"] or ""), one)  # the first on the path is what is imported
        return found

    @cached_property
    def _owners(self) -> dict[str, str]:
        return {module: name for name, found in self._all.items() for module in _modules(found)}


def _own() -> importlib.metadata.Distribution | None:
    """Return this Skerry, which environments are given a link to."""
    try:
        return importlib.metadata.distribution(OWN)
    except importlib.metadata.PackageNotFoundError:
        return None


def _measure(name: str, found: importlib.metadata.Distribution) -> Installed:
    sizes = {"all": 0, "tests": 0, "headers": 0}
    for path, file in _files(name, found):
        if "__pycache__" in path.parts or path.suffix == ".pyc":
            continue
        try:
            size_bytes = file.stat().st_size
        except OSError:
            continue
        sizes["all"] += size_bytes
        folders = set(path.parts[1:-1])
        if not TEST_FOLDERS.isdisjoint(folders):
            sizes["tests"] += size_bytes
        elif path.suffix in HEADER_SUFFIXES or "include" in folders:
            sizes["headers"] += size_bytes
    parsed = [Requirement.parse(line) for line in found.requires or ()]
    return Installed(
        name,
        found.version,
        sizes["all"],
        sizes["tests"],
        sizes["headers"],
        tuple(one for one in parsed if one is not None),
        frozenset(_modules(found)),
    )


def _files(name: str, found: importlib.metadata.Distribution) -> Iterator[tuple[PurePath, Path]]:
    if name == OWN:  # perhaps a checkout, whose record names a link only
        package = Path(skerry.errors.__file__).parent
        yield from ((path.relative_to(package.parent), path) for path in package.rglob("*") if path.is_file())
        return
    for path in found.files or ():
        yield path, Path(str(path.locate()))


def _modules(found: importlib.metadata.Distribution) -> set[str]:
    """Return the top-level modules of a distribution."""
    named = (found.read_text("top_level.txt") or "").split()
    if named:
        return set(named)
    files = [path for path in found.files or () if path.suffix in (".py", ".so") and path.parts[0] != ".."]
    return {path.parts[0].partition(".")[0] for path in files if not path.parts[0].endswith((".dist-info", ".data"))}
