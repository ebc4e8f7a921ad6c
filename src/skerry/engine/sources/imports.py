"""The libraries that an app begins with, read from its files without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from skerry.engine.sources.source import Source
from skerry.runtime.module_files import import_folders

MODULE_SUFFIXES = (".py", ".pyc", ".so")
MAX_FILES = 200  # of an app's own; what lies beyond is imported by whoever runs it


def leading_imports(source: Source) -> tuple[str, ...]:
    """Return the libraries that an app imports before any statement of it can have had an effect, in that order.

    Whatever imports the app imports these first. A zygote that has done so spares it to each process that is forked
    from it. Imports of the app's own modules are followed. The reading ends at the first statement that is neither
    an import, a definition nor the naming of a value: it may change what is imported from there on, and how.
    """
    if source.root is None or source.file is None:
        return ()
    reading = _Reading([source.root / folder for folder in import_folders(source.file, source.module)])
    name = tuple(source.module.split("."))
    if len(name) > 1:
        reading.take(name, is_certain=True)  # its packages run before it
    else:
        reading.visit(source.root / source.file, package=name if source.file.endswith("/__init__.py") else ())
    return tuple(reading.found)


class _Reading:
    """One walk through an app's files.

    Args:
        folders: What the app's own modules are imported from, in this order.
    """

    def __init__(self, folders: list[Path]) -> None:
        self.found: dict[str, None] = {}
        self._folders = folders
        self._visited: set[Path] = set()
        self._is_over = False

    def visit(self, file: Path, package: tuple[str, ...]) -> None:
        """Read one file of the app.

        Args:
            file: Where it is.
            package: The package that its relative imports begin with.
        """
        if file in self._visited or self._is_over:
            return
        self._visited.add(file)
        try:
            statements = ast.parse(file.read_bytes()).body
        except (OSError, SyntaxError, ValueError):
            statements = [ast.Pass()]  # importing it says what is wrong
        self._is_over = len(self._visited) > MAX_FILES
        for statement in statements:
            if self._is_over:
                return
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for name in _named(statement, package):
                    self.take(name, is_certain=name in _modules(statement, package))
            else:
                self._is_over = not _is_idle(statement)

    def take(self, name: tuple[str, ...], *, is_certain: bool) -> None:
        """Take note of a library, or read the app's own module.

        Args:
            name: The parts of its name.
            is_certain: Whether it is a module, and no value in one.
        """
        folder = next((folder for folder in self._folders if _has(folder, name[0])), None)
        if folder is None:
            if is_certain:
                self.found.setdefault(".".join(name))
            return
        for length in range(1, len(name) + 1):
            place = folder.joinpath(*name[:length])
            if (place / "__init__.py").is_file():
                self.visit(place / "__init__.py", name[:length])
            elif place.with_suffix(".py").is_file():
                self.visit(place.with_suffix(".py"), name[: length - 1])


def _has(folder: Path, name: str) -> bool:
    """Whether a folder of the app's holds a module of that name, which an app finds before any library."""
    return (folder / name).is_dir() or any(entry.suffix in MODULE_SUFFIXES for entry in folder.glob(f"{name}.*"))


def _modules(statement: ast.Import | ast.ImportFrom, package: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the parts of the names of the modules that a statement imports for certain."""
    if isinstance(statement, ast.Import):
        return [tuple(alias.name.split(".")) for alias in statement.names]
    base = package[: len(package) - statement.level + 1] if statement.level else ()
    name = (*base, *(statement.module or "").split(".")) if statement.module else base
    return [name] if name and name != ("__future__",) else []


def _named(statement: ast.Import | ast.ImportFrom, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield those, and what a ``from`` names in them: a module of its own, or a value."""
    for module in _modules(statement, package):
        yield module
        if isinstance(statement, ast.ImportFrom):
            yield from ((*module, alias.name) for alias in statement.names)


def _is_idle(statement: ast.stmt) -> bool:
    """Whether a statement changes nothing outside its module that an import could notice."""
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Name) for target in statement.targets)
    if isinstance(statement, ast.AnnAssign):
        return isinstance(statement.target, ast.Name)
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not statement.orelse
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
