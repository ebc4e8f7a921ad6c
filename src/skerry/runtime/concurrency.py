"""Which handlers can be given several calls at a time: those whose calls are coroutines or async generators."""

from __future__ import annotations

import inspect
from typing import Any

from skerry.errors import SpecError


def is_async(handler: Any) -> bool:
    """Whether calls of a function, of a class's instances or of an instance run in an event loop."""
    kind = handler if inspect.isclass(handler) else type(handler)
    call = getattr(kind, "__call__", None)  # noqa: B004  # the method itself is looked at, not called
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (handler, call))


def check_concurrency(function: str, concurrency: int, *, is_async: bool) -> None:
    """Refuse to give a plain handler several calls at a time: it runs them one by one, and the last would be late.

    Args:
        function: The function's name, for the message.
        concurrency: Calls that one worker is to be given at a time.
        is_async: Whether the handler is async.

    Raises:
        SpecError: `concurrency` is above 1 and the handler is not async.
    """
    if concurrency > 1 and not is_async:
        raise SpecError(
            f"function {function!r}: concurrency = {concurrency} needs an async handler; a plain one runs one call "
            "at a time: write async def, or leave concurrency out",
            field="concurrency",
        )
