"""Handlers called here, without a worker: loaded at first use, and given one item where they take several."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from skerry.errors import HandlerError

if TYPE_CHECKING:
    import asyncio

_ITEMS = re.compile(r"\bItems\b")


def load_here(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return what answers calls of a handler in this process; a class is made and its ``load`` called.

    A handler that takes `Items` is called with one of them: its plain call takes an item and returns a result, as its
    remote call does.
    """
    loaded = _load_object(handler()) if inspect.isclass(handler) else handler
    return _take_one(loaded) if takes_items(handler) else loaded


def takes_items(handler: Callable[..., Any]) -> bool:
    """Return whether a function, or a class's ``__call__``, has a parameter annotated `Items`."""
    called: Any = inspect.getattr_static(handler, "__call__") if inspect.isclass(handler) else handler
    try:
        hints = typing.get_type_hints(called)
    except (NameError, TypeError, AttributeError, SyntaxError):
        # A type that is not known here, such as a local one: what is written must do.
        hints = dict(getattr(called, "__annotations__", {}))
    return any(_is_items(hint) for name, hint in hints.items() if name != "return")


def _is_items(hint: Any) -> bool:
    if isinstance(hint, str):
        return _ITEMS.search(hint) is not None
    # No annotation is `Items` in a program that never imported it, and importing it takes the schema library.
    module = sys.modules.get("skerry.payload.items")
    return module is not None and module.Items in (hint, typing.get_origin(hint))


def _take_one(loaded: Callable[..., Any]) -> Callable[..., Any]:
    from skerry.payload import Items

    def call(item: Any, /) -> Any:
        return _only(loaded(Items([item])))

    async def call_async(item: Any, /) -> Any:
        return _only(await loaded(Items([item])))

    is_async = inspect.iscoroutinefunction(loaded) or inspect.iscoroutinefunction(type(loaded).__call__)
    return call_async if is_async else call


def _only(results: Any) -> Any:
    try:
        (result,) = results
    except (TypeError, ValueError) as error:
        raise HandlerError(
            f"the handler was given 1 item and returned {results!r:.100}: return a list of as many results"
        ) from error
    if isinstance(result, BaseException):
        raise result
    return result


def _load_object(instance: Any) -> Callable[..., Any]:
    loaded: Callable[..., Any] = instance
    load = getattr(instance, "load", None)
    if load is None:
        return loaded
    if not inspect.iscoroutinefunction(load):
        load()
        return loaded
    called = type(instance).__call__
    if inspect.isasyncgenfunction(called):
        return _load_before_stream(loaded, load)
    if inspect.iscoroutinefunction(called):
        return _load_before_call(loaded, load)
    import asyncio

    asyncio.run(load())
    return loaded


def _load_before_call(loaded: Callable[..., Any], load: Callable[[], Any]) -> Callable[..., Any]:
    loading: list[asyncio.Task[Any]] = []

    async def call(*args: Any, **kwargs: Any) -> Any:
        await _load_once(loading, load)
        return await loaded(*args, **kwargs)

    return call


def _load_before_stream(loaded: Callable[..., Any], load: Callable[[], Any]) -> Callable[..., Any]:
    loading: list[asyncio.Task[Any]] = []

    async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        await _load_once(loading, load)
        async for item in loaded(*args, **kwargs):
            yield item

    return stream


async def _load_once(loading: list[asyncio.Task[Any]], load: Callable[[], Any]) -> None:
    import asyncio

    if not loading:
        loading.append(asyncio.ensure_future(load()))
    await loading[0]
