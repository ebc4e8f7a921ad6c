"""Where an app's file is, and which folder is the project that it belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from skerry.runtime.module_files import module_file
from skerry.spec import PROJECT_FILE, read_project_file

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
OWN = "skerry"  # it is there already, and no package of an app


@dataclass(frozen=True, slots=True)
class Located:
    """An app's file.

    Args:
        file: The file.
        folder: The folder that its modules are imported from.
        module: Its dotted name there; none of a file that is loaded by its path.
    """

    file: Path
    folder: Path
    module: str | None


def locate(source: str, folder: Path) -> Located | None:
    """Return where a target without its attribute lies, or none when there is nothing of that name.

    Args:
        source: ``FILE`` or ``[FOLDER/]package.module``.
        folder: Where relative paths and modules start.
    """
    path = (folder / Path(source).expanduser()).resolve()
    is_path = source.endswith(".py") or "/" in source
    if is_path and path.is_dir():
        path = path / "app.py"
    if is_path and path.is_file():
        return Located(path, path.parent, None)
    above, _, name = source.rpartition("/")
    if source.endswith(".py") or not MODULE.fullmatch(name) or name.partition(".")[0] == OWN:
        return None
    base = (folder / Path(above).expanduser()).resolve()
    found = module_file(base, name)
    if found is None:
        return None
    if found == f"{name}.py":
        file = (base / found).resolve()
        return Located(file, file.parent, None)
    return Located(base / found, base, name)


def find_root(located: Located, *, start: Path) -> Path | None:
    """Return the folder of the ``skerry.toml`` that holds for an app, or none.

    It is the folder that the app is imported from, else the nearest above it whose ``skerry.toml`` names this app as
    its target, or names none and has more in it than sites. Folders above the current one count up to that of the
    repository, so that nothing is taken for the project that only happens to lie above it.

    Args:
        located: The app.
        start: The current folder.

    Raises:
        SpecError: the ``skerry.toml`` of such a folder is none.
    """
    if (located.folder / PROJECT_FILE).is_file():
        return located.folder
    for folder in _above(located.folder, start.resolve()):
        if not (folder / PROJECT_FILE).is_file():
            continue
        content = read_project_file(folder / PROJECT_FILE)
        named = content.get("app", {}).get("target")
        if named is not None:
            other = locate(str(named).partition(":")[0], folder)
            return folder if other is not None and other.file == located.file else None
        if content.keys() != {"sites"}:  # a list of sites is for the commands that are given beside it
            return folder
    return None


def _above(folder: Path, start: Path) -> list[Path]:
    """Return the folders above one, the nearest first, up to the current one or the repository's."""
    folders = [folder, *folder.parents]
    current = folders.index(start) if start in folders else 0
    repository = next((number for number, one in enumerate(folders) if (one / ".git").exists()), 0)
    return folders[1 : max(current, repository) + 1]
