"""Handlers that are given files: what they return is looked at, so that data labelled local do not leave as a result.

This finds the data themselves, not what can be computed of them: a label is no proof against a handler that means harm.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

Check = Callable[[Any], None]


def guard(call: Callable[..., Any], check: Check) -> Callable[..., Any]:
    """Return a handler that answers as another does, but for results that a check refuses.

    Args:
        call: A function or an object that can be called: plain, async or a generator of either kind.
        check: Raises when a result, or an item of a generator, must not be sent.
    """
    kind = call if inspect.isroutine(call) else type(call).__call__
    if inspect.iscoroutinefunction(kind):
        return functools.wraps(kind)(_guard_async(call, check))
    if inspect.isasyncgenfunction(kind):
        return functools.wraps(kind)(_guard_async_generator(call, check))
    if inspect.isgeneratorfunction(kind):
        return functools.wraps(kind)(_guard_generator(call, check))
    return functools.wraps(kind)(_guard_plain(call, check))


def _guard_plain(call: Callable[..., Any], check: Check) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        value = call(*args, **kwargs)
        check(value)
        return value

    return guarded


def _guard_async(call: Callable[..., Any], check: Check) -> Callable[..., Any]:
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        value = await call(*args, **kwargs)
        check(value)
        return value

    return guarded


def _guard_generator(call: Callable[..., Any], check: Check) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for item in call(*args, **kwargs):
            check(item)
            yield item

    return guarded


def _guard_async_generator(call: Callable[..., Any], check: Check) -> Callable[..., Any]:
    async def guarded(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        async for item in call(*args, **kwargs):
            check(item)
            yield item

    return guarded
