"""Which of a person's files an app's source is: the app's own file, and the folder that it is copied from."""

from __future__ import annotations

import keyword
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from skerry.engine.sources.tree import Entry, list_tree
from skerry.errors import AppImportError, ConfigError
from skerry.runtime.module_files import module_file
from skerry.spec import PROJECT_FILE

# Divides the project's folder from what is in it, as rsync has it: both are one path for who does not know.
ROOT_MARK = "/./"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where an app's file is.

    Args:
        folder: The project's folder.
        file: The app's file, relative to it.
        module: Name to import it under.
        part: What is copied of a folder that is no project, relative to it: the file, or its top-level package.
    """

    folder: Path
    file: str
    module: str
    part: str


def is_installed(place: str) -> bool:
    """Whether a target without its attribute names a module that is installed, and no file or module of a folder."""
    return not (place.endswith(".py") or "/" in place)


def locate(place: str) -> Location:
    """Return where a target's file is.

    Args:
        place: ``FILE``, ``ROOT/./FILE`` or ``ROOT/./[FOLDER/]package.module``.

    Raises:
        AppImportError: there is no such file or module.
        ConfigError: the target is not one.
    """
    folder, mark, inside = place.rpartition(ROOT_MARK)
    root = Path(os.path.abspath(folder or "/")) if mark else None
    if ".." in inside.split("/") and mark:
        raise ConfigError(f"target {place!r}: what follows {ROOT_MARK!r} must lie in the folder before it")
    if root is not None and not inside.endswith(".py"):
        return _locate_module(root, inside)
    path = Path(os.path.abspath(Path(place).expanduser()))
    if path.is_dir():
        raise ConfigError(f"target {place!r} is a folder; name the Python file that holds the App, as in FILE.py:app")
    if not path.is_file():
        raise AppImportError(f"there is no file {path}")
    if path.suffix != ".py":
        raise ConfigError(f"target {place!r}: the file with the App must end in .py")
    root = root or path.parent
    file = path.relative_to(root).as_posix()
    return Location(folder=root, file=file, module=_module_name(path.stem), part=file)


def list_files(location: Location, *, without: Path | None) -> list[Entry]:
    """Return the files that are copied: those of the whole folder where it is a project, else the app's part of it.

    Args:
        location: Where the app is.
        without: A folder, free of links, whose content does not count.

    Raises:
        ConfigError: the project is too large or has links that lead out of it, or the app's file is left out.
    """
    folder, part = location.folder, location.folder / location.part
    if (folder / PROJECT_FILE).is_file():
        entries = list_tree(folder, without=without)
    elif part.is_dir():
        entries = list_tree(folder, within=location.part, without=without)
    else:
        entries = [Entry(path=location.part, size_bytes=part.stat().st_size)]
    if all(entry.path != location.file for entry in entries):
        raise ConfigError(
            f"{folder / location.file} is hidden or left out by .skerryignore; the App's file must be copied"
        )
    return entries


def _locate_module(root: Path, inside: str) -> Location:
    path, _, name = inside.rpartition("/")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(f"target {inside!r}: write FILE.py:app or package.module:app")
    found = module_file(root / path, name)
    if found is None:
        raise AppImportError(f"there is no module {name!r} in {root / path}")
    top = name.partition(".")[0]
    if found == f"{name}.py":
        module, part = _module_name(name), found
    elif _is_taken(top):
        raise ConfigError(f"package {top!r} in {root / path} has the name of a module of Python or Skerry; rename it")
    else:
        module, part = name, top
    prefix = f"{path}/" if path else ""
    return Location(folder=root, file=prefix + found, module=module, part=prefix + part)


def _module_name(stem: str) -> str:
    """Return a name that the module of a file can have without replacing another module."""
    name = re.sub(r"\W", "_", stem)
    if not name.isidentifier() or keyword.iskeyword(name):
        name = f"_{name}"
    return f"{name}_app" if _is_taken(name) else name


def _is_taken(name: str) -> bool:
    return name in sys.stdlib_module_names or name == "skerry"
