"""The types of the decorator: what a handler becomes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from skerry.app.function import AsyncFunction, Function
from skerry.app.stream import AsyncStreamFunction, StreamFunction

if TYPE_CHECKING:
    from skerry.payload import Items

P = ParamSpec("P")
A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S", bound=Sequence[Any])
R_co = TypeVar("R_co", covariant=True)


class HandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class; it may have ``load`` and ``unload`` too."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Handle one call."""


class AsyncHandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class whose ``__call__`` is async."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Handle one call."""


class TakesList(Protocol[P, R_co]):
    """A handler that takes any list, and so is none of `Items`: those take no other list."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...
    @overload
    def __call__(self, items: list[Any], /) -> R_co: ...


class ItemsHandlerObject(Protocol[A, R_co]):
    """An instance of a handler's class whose ``__call__`` takes several callers' items at once."""

    def __call__(self, items: Items[A], /) -> Sequence[R_co]:
        """Handle one call per item."""


class AsyncItemsHandlerObject(Protocol[A, R_co]):
    """An instance of a handler's class whose ``__call__`` is async and takes several callers' items at once."""

    async def __call__(self, items: Items[A], /) -> Sequence[R_co]:
        """Handle one call per item."""


class StreamHandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class whose ``__call__`` is a generator."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[R_co]:
        """Handle one call."""


class AsyncStreamHandlerObject(Protocol[P, R_co]):
    """An instance of a handler's class whose ``__call__`` is an async generator."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[R_co]:
        """Handle one call."""


class Decorator(Protocol):
    """What ``@app.function(...)`` is before it is given the handler."""

    # A handler may fit several: an async one is also a plain one that returns a coroutine, a generator a plain one that
    # returns an iterator, and one that takes any list could be given `Items`. Of those that fit, the first is taken.
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[TakesList[P, Coroutine[Any, Any, R]]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncItemsHandlerObject[A, R]], /
    ) -> AsyncFunction[[A], R]: ...
    @overload
    def __call__(self, handler: type[TakesList[P, S]], /) -> Function[P, S]: ...
    @overload
    def __call__(self, handler: type[ItemsHandlerObject[A, R]], /) -> Function[[A], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncStreamHandlerObject[P, R]], /
    ) -> AsyncStreamFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[AsyncHandlerObject[P, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: type[StreamHandlerObject[P, R]], /
    ) -> StreamFunction[P, R]: ...
    @overload
    def __call__(self, handler: type[HandlerObject[P, R]], /) -> Function[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: TakesList[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[[Items[A]], Coroutine[Any, Any, Sequence[R]]], /
    ) -> AsyncFunction[[A], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: TakesList[P, S], /
    ) -> Function[P, S]: ...
    @overload
    def __call__(self, handler: Callable[[Items[A]], Sequence[R]], /) -> Function[[A], R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, AsyncIterator[R]], /
    ) -> AsyncStreamFunction[P, R]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # the first one that fits is meant
        self, handler: Callable[P, Iterator[R]], /
    ) -> StreamFunction[P, R]: ...
    @overload
    def __call__(self, handler: Callable[P, R], /) -> Function[P, R]: ...
    def __call__(self, handler: Any, /) -> Any:
        """Return the handler as a function of the app."""
