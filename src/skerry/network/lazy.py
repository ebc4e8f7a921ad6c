"""Names of a package that are imported when they are first asked for, because they need NumPy, which is an extra."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from skerry.errors import SkerryError


def load(package: str, where: Mapping[str, str], name: str) -> object:
    """Return a name of a package.

    Args:
        package: The package.
        where: For each of its names the module that has it.
        name: The name.

    Raises:
        AttributeError: The package has no such name.
        SkerryError: NumPy is not installed.
    """
    if name not in where:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"{package}.{where[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "numpy":
            raise
        raise SkerryError('flow records need numpy, which is not installed: pip install "skerry[network]"') from error
