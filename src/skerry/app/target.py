"""Where an app's source is: ``FILE[:app]`` or ``package.module[:app]``."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import AppImportError
from skerry.spec import PROJECT_FILE

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
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
    """

    source: str
    attribute: str | None
    file: Path | None

    @classmethod
    def parse(cls, text: str, *, folder: Path | None = None) -> Target:
        """Return the target that a person wrote.

        Args:
            text: ``FILE[:app]`` or ``package.module[:app]``.
            folder: Where relative paths and modules start; the current folder by default.

        Raises:
            AppImportError: there is no such file or module.
        """
        folder = (Path.cwd() if folder is None else folder).absolute()
        source, _, attribute = text.partition(":")
        if source.endswith(".py") or "/" in source:
            file = (folder / Path(source).expanduser()).resolve()
            if file.is_dir():
                file = file / "app.py"
            if not file.is_file():
                raise AppImportError(f"no file {file}", hint="name the file that holds the app, like app.py")
            return cls(str(file), attribute or None, file)
        if not MODULE.fullmatch(source):
            raise AppImportError(f"{text!r}: write FILE[:APP], like app.py, or package.module[:APP]")
        beside = folder / f"{source}.py"
        if beside.is_file():
            # An engine does not share the caller's current folder: it is told the file.
            return cls(str(beside.resolve()), attribute or None, beside.resolve())
        return cls(source, attribute or None, _find_module(source, folder))

    def __str__(self) -> str:
        return self.source if self.attribute is None else f"{self.source}:{self.attribute}"

    def watched_files(self) -> Iterator[Path]:
        """Yield the files whose change means a new revision: sources beside the app's, and its project file."""
        if self.file is None:
            return
        folder = self.file.parent
        pending, count = [folder], 0
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
