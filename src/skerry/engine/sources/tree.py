"""The files of a project: which of them count, and whether they are few and small enough to copy."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import ConfigError

IGNORE_FILE = ".skerryignore"
LIMIT_BYTES = 64 * 2**20
LIMIT_FILES = 5_000
IMAGE_SUFFIX = ".oci.tar"
_ALWAYS_IGNORED = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a project.

    Args:
        path: Its path relative to the project's folder, with ``/``.
        size_bytes: Its size.
    """

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """A line of an ignore file."""

    expression: re.Pattern[str]
    anchored: bool
    folders_only: bool

    def matches(self, path: str, *, folder: bool) -> bool:
        """Return whether the line leaves out this path, relative to the project's folder."""
        if self.folders_only and not folder:
            return False
        subject = path if self.anchored else path.rpartition("/")[2]
        return self.expression.fullmatch(subject) is not None


def parse_ignore(text: str, *, where: str) -> tuple[Pattern, ...]:
    """Return the patterns of an ignore file: a part of what ``.gitignore`` knows.

    Empty lines and lines that begin with ``#`` say nothing. ``*`` and ``?`` match within a name, ``**`` across folders.
    A pattern with a ``/`` before its end starts at the project's folder, another one matches names at any depth. A
    ``/`` at the end means folders only.

    Args:
        text: The file's content.
        where: Its name, for messages.

    Raises:
        ConfigError: a line begins with ``!``, which is not supported.
    """
    patterns = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("!"):
            raise ConfigError(f"{where}, line {number}: {line!r} takes a file in again, which is not supported here")
        body = line.rstrip("/")
        patterns.append(
            Pattern(
                expression=re.compile(_translate(body.removeprefix("/"))),
                anchored="/" in body,
                folders_only=line.endswith("/"),
            )
        )
    return tuple(patterns)


def list_tree(folder: Path, *, within: str = "", without: Path | None = None) -> list[Entry]:
    """Return the files of a project, links inside it as the files that they lead to.

    Args:
        folder: The project's folder.
        within: The folder in it, relative with ``/``, whose files alone count.
        without: A folder, free of links, whose content does not count.

    Raises:
        ConfigError: a link leads out of the folder or in a circle, or the project is too large.
    """
    ignore = folder / IGNORE_FILE
    try:
        patterns = parse_ignore(ignore.read_text(), where=str(ignore)) if ignore.is_file() else ()
        root = folder.resolve()
        entries = list(_Walk(root=root, patterns=patterns, without=without).files_within(within))
    except OSError as error:
        raise ConfigError(f"the project {folder} cannot be read: {error}") from error
    _check_size(folder, within, entries)
    return entries


@dataclass(frozen=True, kw_only=True, slots=True)
class _Walk:
    """What stays the same on the way through a project."""

    root: Path
    patterns: tuple[Pattern, ...]
    without: Path | None

    def files_within(self, path: str) -> Iterator[Entry]:
        """Yield the files below a folder that is named relative to the project's; empty for all."""
        place = self.root / path
        if place.is_symlink():
            _check_link(self.root, place, path, (self.root,))
        real = place.resolve()
        yield from self.files(real, f"{path}/" if path else "", tuple(dict.fromkeys((self.root, real))))

    def files(self, folder: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[Entry]:
        """Yield the files below a folder; ``above`` are the real folders on the way to it, to notice circles."""
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
        for item in items:
            path = f"{prefix}{item.name}"
            is_folder = item.is_dir()
            if self._left_out(item.name, path, folder=is_folder):
                continue
            if item.is_symlink():
                _check_link(self.root, Path(item.path), path, above)
            if is_folder:
                real = Path(item.path).resolve()
                if real != self.without:
                    yield from self.files(real, f"{path}/", (*above, real))
            elif item.is_file():
                yield Entry(path=path, size_bytes=item.stat().st_size)

    def _left_out(self, name: str, path: str, *, folder: bool) -> bool:
        if name.startswith(".") or name in _ALWAYS_IGNORED or name.endswith(IMAGE_SUFFIX):
            return True
        return any(pattern.matches(path, folder=folder) for pattern in self.patterns)


def _check_link(root: Path, link: Path, path: str, above: tuple[Path, ...]) -> None:
    real = Path(os.path.realpath(link))
    advice = f"replace the link by what it leads to, or name it in {IGNORE_FILE}"
    if not real.is_relative_to(root):
        raise ConfigError(f"{root / path} is a link to {real}, outside of the project; {advice}")
    if not real.exists():
        raise ConfigError(f"{root / path} is a link to {real}, which does not exist; {advice}")
    if real in above:
        raise ConfigError(f"{root / path} is a link to a folder that contains it; {advice}")


def _check_size(folder: Path, within: str, entries: list[Entry]) -> None:
    total_bytes = sum(entry.size_bytes for entry in entries)
    if total_bytes <= LIMIT_BYTES and len(entries) <= LIMIT_FILES:
        return
    sizes: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        top, slash, _ = entry.path.removeprefix(f"{within}/").partition("/")
        sizes[top + slash].append(entry.size_bytes)
    by_size = total_bytes > LIMIT_BYTES
    largest = sorted(sizes.items(), key=lambda item: sum(item[1]) if by_size else len(item[1]), reverse=True)[:5]
    listing = ", ".join(f"{name} ({sum(part) / 2**20:.1f} MiB in {len(part)} files)" for name, part in largest)
    raise ConfigError(
        f"the project {folder / within} has {total_bytes / 2**20:.1f} MiB in {len(entries)} files, the limit is "
        f"{LIMIT_BYTES // 2**20} MiB in {LIMIT_FILES} files; name data in {IGNORE_FILE} or keep it elsewhere; "
        f"largest: {listing}"
    )


def _translate(pattern: str) -> str:
    """Return the regular expression of a pattern."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|[^*?/]+|/", pattern)
    return "".join(pieces.get(token, re.escape(token)) for token in tokens)
