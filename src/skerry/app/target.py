"""Where an app's source is: ``FILE[:app]`` or ``package.module[:app]``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skerry.app.project_root import MODULE, Located, find_root, locate
from skerry.errors import AppImportError, ConfigError
from skerry.runtime.module_files import import_folders
from skerry.spec import PROJECT_FILE

SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})
# A folder with more sources than this is not one app's; watching all of them would cost more than it tells.
MAX_WATCHED_FILES = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """The source of an app.

    Args:
        source: Absolute path of a file, or dotted name of a module.
        attribute: Name of the app in it; none where the module holds only one.
        file: The file of that source, if there is one.
        root: The project's folder; by default that of the file, and none of an installed module.
    """

    source: str
    attribute: str | None
    file: Path | None
    root: Path | None = None

    @classmethod
    def parse(cls, text: str, *, folder: Path | None = None, root: Path | None = None) -> Target:
        """Return the target that a person wrote.

        Args:
            text: ``FILE[:app]`` or ``[FOLDER/]package.module[:app]``; a module is looked for in the folder, then among
                what is installed.
            folder: Where relative paths and modules start; the current folder by default.
            root: The project's folder, where it is known.

        Raises:
            AppImportError: there is no such file or module.
            ConfigError: it lies outside of the project's folder.
            SpecError: the project's ``skerry.toml`` is none.
        """
        folder = (Path.cwd() if folder is None else folder).absolute()
        source, _, attribute = text.partition(":")
        located = locate(source, folder)
        if located is not None:
            return cls.of(located, attribute or None, root=root, start=folder)
        if source.endswith(".py") or "/" in source:
            place = (folder / Path(source).expanduser()).resolve()
            raise AppImportError(f"no file {place}", hint="name the file that holds the app, like app.py")
        if not MODULE.fullmatch(source):
            raise AppImportError(f"{text!r}: write FILE[:APP], like app.py, or package.module[:APP]")
        return cls(source, attribute or None, _find_module(source, folder))

    @classmethod
    def of(
        cls, located: Located, attribute: str | None, *, root: Path | None = None, start: Path | None = None
    ) -> Target:
        """Return the target of an app whose file is known.

        Args:
            located: Its file.
            attribute: Name of the app in it, where it is known.
            root: The project's folder; by default that of the ``skerry.toml`` that holds for the app.
            start: Up to where that is looked for; the current folder by default.

        Raises:
            ConfigError: the file lies outside of the project's folder, or the project's ``skerry.toml`` inside of the
                app's package.
            SpecError: the project's ``skerry.toml`` is none.
        """
        root = root.resolve() if root is not None else find_root(located, start=start or Path.cwd())
        if root is not None and not located.folder.is_relative_to(root):
            raise ConfigError(
                f"{root / PROJECT_FILE} names {located.file}, which lies outside of the folder that is copied",
                hint=f"put the {PROJECT_FILE} into a folder that holds the app and what it imports",
            )
        if located.module is None:
            return cls(str(located.file), attribute, located.file, root or located.folder)
        inside = located.folder / located.module.partition(".")[0] / PROJECT_FILE
        if root is None and inside.is_file():
            raise ConfigError(
                f"{inside} would not hold for {located.module}, which is imported from {located.folder}",
                hint=f"move it to {located.folder / PROJECT_FILE}",
            )
        return cls(located.module, attribute, located.file, root or located.folder)

    def __str__(self) -> str:
        project, named = self.project, self.source if self.attribute is None else f"{self.source}:{self.attribute}"
        if project is None or (self._is_file and self.file is not None and self.file.parent == project):
            return named
        # As the engine divides them: see `skerry.engine.sources.source`.
        return f"{project}/./{self.inside}"

    @property
    def project(self) -> Path | None:
        """The folder that the app's source is copied from; none of an installed module, which is not copied."""
        if self.root is not None or not self._is_file or self.file is None:
            return self.root
        return self.file.parent

    @property
    def inside(self) -> str:
        """The target as it is named in that folder: ``FILE[:app]`` or ``[FOLDER/]package.module[:app]``."""
        named = self.source
        if self.project is not None and self.file is not None:
            named = file = self.file.relative_to(self.project).as_posix()
            if not self._is_file:
                folder = import_folders(file, self.source)[0]
                named = f"{folder}/{self.source}" if folder else self.source
        return named if self.attribute is None else f"{named}:{self.attribute}"

    @property
    def import_folder(self) -> Path | None:
        """The folder that the source's modules are imported from; none of an installed module."""
        if self.file is None or self.project is None:
            return None
        if self._is_file:
            return self.file.parent
        return self.project / import_folders(self.file.relative_to(self.project).as_posix(), self.source)[0]

    @property
    def is_package(self) -> bool:
        """Whether the app is a module of a package that is copied without a project around it."""
        return not self._is_file and self.project is not None and not (self.project / PROJECT_FILE).is_file()

    @property
    def _is_file(self) -> bool:
        return self.source.endswith(".py")

    def watched_files(self) -> Iterator[Path]:
        """Yield the files whose change means a new revision: sources beside the app's, and its project file."""
        folder = self.project if self.project is not None else None if self.file is None else self.file.parent
        if folder is None:
            return
        pending, count = [folder / self.source.partition(".")[0] if self.is_package else folder], 0
        while pending:
            for path in sorted(pending.pop().iterdir()):
                if path.name.startswith(".") or path.name in SKIPPED_FOLDERS:
                    continue
                if path.is_dir() and not (path / "pyvenv.cfg").exists():
                    pending.append(path)
                elif path.suffix == ".py" or path.name == PROJECT_FILE:
                    yield path
                    count += 1
                    if count == MAX_WATCHED_FILES:
                        return


def _find_module(name: str, folder: Path) -> Path | None:
    added = str(folder)
    sys.path.insert(0, added)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:
        raise AppImportError(f"no module {name!r}: {error}") from error
    finally:
        sys.path.remove(added)
    if spec is None:
        raise AppImportError(f"no module {name!r} in {folder} or among the installed packages")
    return Path(spec.origin) if spec.origin and spec.has_location else None
