"""What a person is told of source that cannot be imported."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from skerry.errors import AppImportError, SkerryError
from skerry.spec.names import PROJECT_FILE

OWN_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
MOST_LINES = 40


def import_error(source: str, error: BaseException, *, is_app: bool = False) -> AppImportError:
    """Return what is told of an import that failed.

    What Skerry refuses itself, such as the value of an option, is told with the line that it refuses. Whatever else the
    source raises is told with its traceback, from the first line on that is not Skerry's.

    Args:
        source: What was to be imported, as a person knows it.
        error: What was raised.
        is_app: Whether the source is an app's: what it lacks is then told with what to do about it.
    """
    last = _last_line(error.__traceback__)
    if isinstance(error, SkerryError) and last is not None:
        file, number = last
        hints = {key: value for key, value in error.details.items() if key == "hint"}
        return AppImportError(f"{os.path.basename(file)}, line {number}: {error.message}", **hints)
    lines = traceback.format_exception(type(error), error, _after_import(error.__traceback__))
    return AppImportError(
        f"cannot import {source}: {type(error).__name__}: {error}",
        traceback="".join(lines[-MOST_LINES:]),
        **(_lack(error) if is_app else {}),
    )


def _lack(error: BaseException) -> dict[str, Any]:
    """Return what an import lacked, as details of its error: for whoever knows where the app's files came from."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        if package in sys.modules:  # it is there; a module in it is not
            return {"missing_module": error.name}
        hint = (
            f"nothing of the name {package} is installed or was copied with the app; name the package that holds it in "
            f"requirements, of App(...) or of [app] in {PROJECT_FILE}"
        )
        return {"missing_module": error.name, "hint": hint}
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        hint = "the file belongs to a package: name it as a module, package.module:app"
        return {"is_outside_package": True, "hint": hint}
    return {}


def _after_import(start: TracebackType | None) -> TracebackType | None:
    """Return the traceback without the frames that led to the source."""
    at = start
    while at is not None and _is_machinery(at):
        at = at.tb_next
    return at


def _last_line(start: TracebackType | None) -> tuple[str, int] | None:
    """Return file and number of the innermost line that is the user's own."""
    own = [(at.tb_frame.f_code.co_filename, at.tb_lineno) for at in _walk(start) if not _is_machinery(at)]
    return own[-1] if own else None


def _is_machinery(at: TracebackType) -> bool:
    file = at.tb_frame.f_code.co_filename
    return file.startswith((OWN_FOLDER, "<frozen importlib", "<string>"))


def _walk(start: TracebackType | None) -> Iterator[TracebackType]:
    while start is not None:
        yield start
        start = start.tb_next
