"""An immutable copy of an app's source: what a revision runs, whatever happens to the user's files afterwards.

A target names the app in one of these ways:

``FILE[:app]``
    A Python file. When its folder holds a ``skerry.toml``, the whole folder is the project and is copied, except for
    hidden files, ``__pycache__``, ``node_modules``, images (``*.oci.tar``) and what ``.skerryignore`` names; otherwise
    the file alone is.
``ROOT/./FILE[:app]``
    A file below the project's folder, with the mark between the two that rsync has for it. The folder's
    ``skerry.toml`` holds, and the whole folder is copied.
``ROOT/./[FOLDER/]package.module[:app]``
    A module of a package in that folder. Without a ``skerry.toml`` in ROOT, the top-level package alone is copied.
``package.module[:app]``
    A module that the engine's interpreter can find, such as one of an installed package. Nothing is copied; the digest
    is that of the module's own file.

**What a loader does with a `Source`.** When ``root`` is set: insert the folders of `import_folders` below it at the
front of ``sys.path``, so that the app finds its neighbours. Then import ``module``, if its name has a dot in it: its
packages are imported before it. Else import ``root / file`` under the name ``module``
(``importlib.util.spec_from_file_location``; put the module into ``sys.modules`` before executing it): the file may have
a name that no ``import`` statement can spell, and ``module`` is then derived from it. When ``root`` is None, import
``module``. The app is the attribute ``attribute`` of the module. Bytecode that a loader leaves in ``__pycache__`` does
no harm.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skerry.engine.home import TEMPORARY_PREFIX
from skerry.engine.sources.location import Location, is_installed, list_files, locate
from skerry.engine.sources.tree import Entry, list_tree
from skerry.errors import AppImportError, ConfigError
from skerry.spec import PROJECT_FILE

DEFAULT_ATTRIBUTE = "app"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where an app's code is and how to load it; see the module for what a loader does.

    Args:
        digest: SHA-256 over the sorted relative paths and contents, hexadecimal.
        root: The folder of the copy; None when the module is imported by its name.
        file: The app's file, relative to the root; None when there is no root.
        module: Name to import the app's module under.
        attribute: Name of the app in the module, possibly dotted.
        project_file: The copied ``skerry.toml``, if there is one.
        watched: The user's own files that the copy was made of: when one of them changes, take the source again.
    """

    digest: str
    root: Path | None
    file: str | None
    module: str
    attribute: str
    project_file: Path | None
    watched: tuple[Path, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` needs besides the folder of copies, as plain JSON values."""
        return {"digest": self.digest, "file": self.file, "module": self.module, "attribute": self.attribute}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], into: Path) -> Source:
        """Return the source that an earlier engine took; it watches nothing.

        Args:
            values: What `to_dict` returned.
            into: The folder of copies.

        Raises:
            ConfigError: the copy is gone.
        """
        file = values["file"]
        root = None if file is None else into / values["digest"]
        if root is not None and not (root / file).is_file():
            raise ConfigError(f"the copy of the app's source, {root}, is gone; deploy the app again")
        return cls(
            digest=values["digest"],
            root=root,
            file=file,
            module=values["module"],
            attribute=values["attribute"],
            project_file=_project_file(root),
            watched=(),
        )


def take(target: str, into: Path) -> Source:
    """Copy the source that a target names into the folder of copies, unless the same content is there already.

    Reads and writes up to 64 MiB: not for an event loop's thread. Safe against other calls at the same time.

    Args:
        target: The app; see the module for how.
        into: The folder of copies, ``Home.sources``.

    Raises:
        AppImportError: there is no such file or module.
        ConfigError: the target is not one, or the project is too large or has links that lead out of it.
    """
    place, attribute = _split(target)
    return _find_module(place, attribute) if is_installed(place) else _take_files(locate(place), attribute, into)


def copied_files(target: str, into: Path) -> list[Entry]:
    """Return the files that `take` would copy; none of an installed module.

    Args:
        target: The app.
        into: The folder of copies.

    Raises:
        SkerryError: as `take`.
    """
    place, _ = _split(target)
    return [] if is_installed(place) else _files(locate(place), into)


def digest_of(root: Path, entries: list[Entry]) -> str:
    """Return the SHA-256 over the paths and contents of files below a folder, hexadecimal."""
    total = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: os.fsencode(entry.path)):
        name = os.fsencode(entry.path)
        content = (root / entry.path).read_bytes()
        # Lengths go first: without them, bytes could move from a name into a content unnoticed.
        total.update(b"%d:%d:" % (len(name), len(content)) + name)
        total.update(content)
    return total.hexdigest()


def _split(target: str) -> tuple[str, str]:
    place, colon, attribute = target.rpartition(":")
    if not colon:
        place, attribute = target, DEFAULT_ATTRIBUTE
    if not place or not all(part.isidentifier() for part in attribute.split(".")):
        raise ConfigError(f"target {target!r}: write FILE.py:app or package.module:app, where app is the App's name")
    return place, attribute


def _take_files(location: Location, attribute: str, into: Path) -> Source:
    entries = _files(location, into)
    digest = _publish(location.folder, entries, into)
    root = into / digest
    return Source(
        digest=digest,
        root=root,
        file=location.file,
        module=location.module,
        attribute=attribute,
        project_file=_project_file(root),
        watched=tuple(location.folder / entry.path for entry in entries),
    )


def _files(location: Location, into: Path) -> list[Entry]:
    folder = location.folder
    copied = folder if (folder / PROJECT_FILE).is_file() else folder / location.part
    return list_files(location, without=_own_folder(into, copied))


def _own_folder(into: Path, folder: Path) -> Path | None:
    """Return the engine's own folder when it is part of the project: its records change with every deployment."""
    home = into.resolve().parent
    project = folder.resolve()
    if home == project:
        raise ConfigError(f"the engine's folder and the project's folder are the same, {folder}; use two")
    return home if home.is_relative_to(project) else None


def _project_file(root: Path | None) -> Path | None:
    path = None if root is None else root / PROJECT_FILE
    return path if path is not None and path.is_file() else None


def _publish(folder: Path, entries: list[Entry], into: Path) -> str:
    """Copy files and rename the copy to its digest; return the digest."""
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=into))
    try:
        copy = temporary / "copy"
        copy.mkdir(mode=0o700)
        for entry in entries:
            place = copy / entry.path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copy(folder / entry.path, place)  # follows links, keeps the permission to execute
            except FileNotFoundError as error:
                raise ConfigError(f"{folder / entry.path} disappeared while it was copied; deploy again") from error
            except PermissionError as error:
                raise ConfigError(
                    f"{folder / entry.path} cannot be read; allow it or name it in .skerryignore"
                ) from error
        # The digest is that of the copy: the user's files may have changed since they were read.
        digest = digest_of(copy, entries)
        final = into / digest
        if final.exists() and not _intact(final, digest):
            os.replace(final, temporary / "damaged")
        try:
            os.rename(copy, final)
        except OSError:
            if not _intact(final, digest):
                raise
        return digest
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _intact(root: Path, digest: str) -> bool:
    try:
        return digest_of(root, list_tree(root)) == digest
    except (OSError, ConfigError):
        return False


def _find_module(name: str, attribute: str) -> Source:
    origin = _origin(name)
    return Source(
        digest=digest_of(origin.parent, [Entry(path=origin.name, size_bytes=origin.stat().st_size)]),
        root=None,
        file=None,
        module=name,
        attribute=attribute,
        project_file=None,
        watched=(origin,),
    )


def _origin(name: str) -> Path:
    """Return a module's file without running any of its packages, which `importlib.util.find_spec` would do."""
    found: importlib.machinery.ModuleSpec | None = None
    search: list[str] | None = None
    parts = name.split(".")
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"target {name!r}: write FILE.py:app or package.module:app")
    for length in range(1, len(parts) + 1):
        qualified = ".".join(parts[:length])
        found = _find_spec(qualified, search)
        if found is None:
            raise AppImportError(f"there is no module {qualified!r} here; for a file write its name with .py")
        search = None if found.submodule_search_locations is None else list(found.submodule_search_locations)
        if search is None and length < len(parts):
            raise AppImportError(f"{qualified!r} is a module and has no module {parts[length]!r} in it")
    if found is None or found.origin is None or not Path(found.origin).is_file():
        raise AppImportError(f"module {name!r} has no file; name a module with an App in it")
    return Path(found.origin).absolute()


def _find_spec(name: str, search: list[str] | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
        spec = finder.find_spec(name, search)
        if spec is not None:
            return spec
    return None
