"""What an app needs installed: as it declares it, and as its lock file pins it."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from skerry.engine.sources.source import Source
from skerry.errors import ConfigError

LOCK_FILE = "skerry.lock"
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def declared_requirements(project: Mapping[str, Any], source: Source) -> tuple[str, ...]:
    """Return what an app needs installed, read without running it: from skerry.toml, else from its ``App(...)``.

    Raises:
        ConfigError: it is written in a way that only running the app could read.
    """
    from_file = project.get("app", {}).get("requirements")
    if from_file is not None:
        return tuple(from_file)
    node = _app_argument(source, "requirements")
    return () if node is None else _literal(node)


def declared_imports(project: Mapping[str, Any], source: Source) -> tuple[str, ...]:
    """Return the libraries that an app wants imported ahead, as far as that can be read without running it."""
    from_file = project.get("app", {}).get("imports")
    if from_file is not None:
        return tuple(from_file)
    node = _app_argument(source, "imports")
    try:
        return () if node is None else _literal(node)
    except ConfigError:
        return ()  # it is only quicker to know them before the app runs


def _app_argument(source: Source, name: str) -> ast.expr | None:
    """Return what an app's file gives to ``App(...)`` under a name."""
    if source.root is None or source.file is None:
        return None
    try:
        tree = ast.parse((source.root / source.file).read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return None  # importing it says what is wrong, and where
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "App":
            for keyword in node.keywords:
                if keyword.arg == name:
                    return keyword.value
    return None


def check_requirements(requirements: tuple[str, ...], description: Mapping[str, Any]) -> None:
    """Raise ConfigError when an app wants other libraries than its environment was made for."""
    wanted = tuple(description["requirements"])
    if wanted and set(wanted) != set(requirements):
        raise ConfigError(
            f"the app wants {', '.join(wanted)}, but its environment was made for "
            f"{', '.join(requirements) or 'nothing'}; "
            "write requirements as a literal list in App(...), or in skerry.toml alone"
        )


def read_lock(source: Source) -> str:
    """Return the lock file of an app's source, empty without one: the exact versions that pip may choose."""
    if source.root is None or not (source.root / LOCK_FILE).is_file():
        return ""
    try:
        return (source.root / LOCK_FILE).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{LOCK_FILE} is not UTF-8 text: {error}") from error


def lock_of(requirements: Iterable[str]) -> str:
    """Return a lock file with the versions that this interpreter has of some requirements and of what they need.

    What is not installed here is left out: the site's pip chooses its version.

    Args:
        requirements: As pip reads them.
    """
    versions: dict[str, str] = {}
    pending = list(requirements)
    seen: set[tuple[str, str]] = set()
    while pending:
        match = _NAME.match(pending.pop())
        if match is None:
            continue
        name = re.sub(r"[-_.]+", "-", match[1]).lower()
        extras = frozenset(extra.strip().lower() for extra in (match[2] or "").split(",") if extra.strip())
        if (name, ",".join(sorted(extras))) in seen:
            continue
        seen.add((name, ",".join(sorted(extras))))
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name != "skerry":  # an app runs with its engine's
            versions[name] = found.version
        pending += _needs(found, extras)
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _needs(found: importlib.metadata.Distribution, extras: frozenset[str]) -> Iterator[str]:
    for line in found.requires or ():
        requirement, _, marker = line.partition(";")
        extra = _EXTRA.search(marker)
        if extra is None or extra[1].lower() in extras:
            yield requirement


def _literal(node: ast.expr) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise _requirements_error() from error
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _requirements_error()
    return tuple(value)


def _requirements_error() -> ConfigError:
    return ConfigError(
        "requirements must be a literal list of strings, since they are read before the app runs; "
        "or write them to skerry.toml"
    )
