"""What to do about an app that cannot be imported, for whoever knows which files it was copied from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skerry.app.target import Target
from skerry.errors import AppImportError
from skerry.spec import PROJECT_FILE


@contextmanager
def explaining(target: Target) -> Iterator[None]:
    """Give an error of an import in the block the hint that follows from where the app's files are.

    Args:
        target: The app that is imported, from a copy.

    Raises:
        AppImportError: as the block does.
    """
    try:
        yield
    except AppImportError as error:
        hint = find_hint(error, target)
        if hint is None:
            raise
        raise AppImportError(error.message, **{**error.details, "hint": hint}) from error


def find_hint(error: AppImportError, target: Target) -> str | None:
    """Return what to do about an import that failed, or none when the app's files do not say."""
    if target.file is None or target.project is None:
        return None
    if error.details.get("is_outside_package"):
        return (
            f"{target.file.name} belongs to a package: name it as a module, `skerry deploy {_as_module(target.file)}`"
        )
    missing = str(error.details.get("missing_module", "")).partition(".")[0]
    if not missing or (target.project / PROJECT_FILE).is_file() or not _is_there(target.project, missing):
        return None
    copied = f"package {target.source.partition('.')[0]}" if target.is_package else target.file.name
    return (
        f"only {copied} was copied, and {missing} beside it was not; put a {PROJECT_FILE} into {target.project}, an "
        "empty one will do: the whole folder is copied then"
    )


def _is_there(folder: Path, module: str) -> bool:
    return (folder / module).is_dir() or (folder / f"{module}.py").is_file()


def _as_module(file: Path) -> str:
    """Return how a file of a package is named as a module of it, as seen from the current folder."""
    parts, folder = [] if file.stem == "__init__" else [file.stem], file.parent
    while not parts or len(parts) == 1 or (folder / "__init__.py").is_file():
        parts, folder = [folder.name, *parts], folder.parent
    name = ".".join(parts)
    here = Path.cwd()
    if folder == here:
        return name
    return f"{folder.relative_to(here) if folder.is_relative_to(here) else folder}/{name}"
