"""Whose load can be shared: that of a class whose ``load`` is plain code."""

from __future__ import annotations

import inspect
from typing import Any

from skerry.errors import SpecError


def load_kind(handler: Any) -> str | None:
    """Return ``"plain"`` or ``"async"`` for a class with a method ``load``, None for a handler without one."""
    load = getattr(handler, "load", None) if inspect.isclass(handler) else None
    if load is None:
        return None
    return "async" if inspect.iscoroutinefunction(load) else "plain"


def check_share_load(function: str, *, share_load: bool, load: str | None) -> None:
    """Refuse to share the load of a handler that has none, or whose load needs an event loop.

    Args:
        function: The function's name, for the message.
        share_load: Whether it is to be shared.
        load: What `load_kind` says of the handler.

    Raises:
        SpecError: `share_load` is set, and `load` is not ``"plain"``.
    """
    if not share_load or load == "plain":
        return
    why = "a class with a method load" if load is None else "a plain load: an event loop cannot be forked"
    instead = "a class with def load(self)" if load is None else "def load(self) in place of async def"
    raise SpecError(
        f"function {function!r}: share_load = True needs {why}; write {instead}, or leave share_load out",
        field="share_load",
    )
