"""Where modules lie below a folder, and from which folders of an app's source they are imported."""

from __future__ import annotations

import os


def module_file(folder: str | os.PathLike[str], name: str) -> str | None:
    """Return the file of a module below a folder, relative to it; none when there is no such module.

    Args:
        folder: Where its top-level package or module would be.
        name: Its dotted name; the file of a package is its ``__init__.py``.
    """
    path = name.replace(".", "/")
    for file in (f"{path}/__init__.py", f"{path}.py"):  # the order in which Python looks
        if os.path.isfile(os.path.join(folder, file)):
            return file
    return None


def import_folders(file: str, module: str) -> tuple[str, ...]:
    """Return the folders that an app's modules are imported from, first to last, below its root; empty is the root.

    The first is the folder that holds the app's file, as when Python runs that, or its top-level package.

    Args:
        file: The app's file, relative to the root.
        module: Name that it is imported under.
    """
    path = file.removesuffix(".py")
    if path.endswith("/__init__") and module.rpartition(".")[2] != "__init__":
        path = os.path.dirname(path)
    for _ in range(module.count(".") + 1):
        path = os.path.dirname(path)
    return (path, "") if path else ("",)
