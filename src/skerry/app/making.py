"""What a decorated handler becomes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from skerry.app.binding import Binding
from skerry.app.function import AsyncFunction, BaseFunction, Function
from skerry.app.local import takes_items
from skerry.app.stream import AsyncStreamFunction, StreamFunction
from skerry.errors import ConfigError, SpecError
from skerry.runtime.sharing import check_share_load, load_kind


def make_function(
    handler: Callable[..., Any], *, name: str, options: Mapping[str, Any], binding: Binding
) -> BaseFunction[Any, Any]:
    """Return the function of a handler: a plain or async function or generator, or a class whose ``__call__`` is one.

    Raises:
        ConfigError: the handler is none of these.
        SpecError: its options do not go with what it is.
    """
    called: Any = handler
    if inspect.isclass(handler):
        called = inspect.getattr_static(handler, "__call__", None)
        if not inspect.isfunction(called):
            raise ConfigError(f"class {handler.__name__}: a handler's class needs a method __call__")
    elif not inspect.isfunction(handler):
        raise ConfigError(f"{handler!r}: decorate a function, an async function, or a class with __call__")
    kind = _kind(called)
    _check_batch(name, kind, called, options)
    check_share_load(name, share_load=options.get("share_load") is True, load=load_kind(handler))
    return kind(handler, name=name, options=options, binding=binding)


def _kind(called: Callable[..., Any]) -> type[BaseFunction[Any, Any]]:
    if inspect.iscoroutinefunction(called):
        return AsyncFunction
    # A decorated generator is a plain function that returns an iterator: its annotation says so.
    returned = _annotated_result(called)
    if inspect.isasyncgenfunction(called) or returned in ("AsyncIterator", "AsyncGenerator"):
        return AsyncStreamFunction
    if inspect.isgeneratorfunction(called) or returned in ("Iterator", "Generator"):
        return StreamFunction
    return Function


def _annotated_result(called: Callable[..., Any]) -> str:
    # Not evaluated: the names in it may be defined below the function.
    annotation = called.__annotations__.get("return")
    if isinstance(annotation, str):
        return annotation.partition("[")[0].rpartition(".")[2].strip()
    return getattr(typing.get_origin(annotation) or annotation, "__name__", "")


def _check_batch(
    name: str, kind: type[BaseFunction[Any, Any]], called: Callable[..., Any], options: Mapping[str, Any]
) -> None:
    batched = options.get("batch") is not None
    if issubclass(kind, StreamFunction | AsyncStreamFunction):
        if batched or takes_items(called):
            raise SpecError(
                f"function {name!r} is a generator and is batched: the results of a batch come together at its end, "
                "those of a generator one by one; leave batch and Items out, or return a list",
                field="batch",
            )
    elif batched and kind is Function and options.get("concurrency", 1) > 1:
        raise SpecError(
            f"function {name!r}: concurrency = {options['concurrency']} with batch needs an async handler; a plain one "
            "handles one batch at a time: write async def, or leave concurrency out",
            field="concurrency",
        )
