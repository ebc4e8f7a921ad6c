"""The types of the decorator: what a handler becomes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from skerry.app.function import AsyncFunction, Function

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class HandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class; it may have ``load`` and ``unload`` too."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Handle one call."""


class AsyncHandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class whose ``__call__`` is async."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Handle one call."""


class Decorator(Protocol):
    """What ``@app.function(...)`` is before it is given the handler."""

    # An async handler is also a plain one that returns a coroutine; of overlapping overloads the first is taken.
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncHandlerObject[P, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(self, handler: type[HandlerObject[P, R]], /) -> Function[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(self, handler: Callable[P, R], /) -> Function[P, R]: ...
    def __call__(self, handler: Any, /) -> Any:
        """Return the handler as a function of the app."""
