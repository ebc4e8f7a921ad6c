"""Whether a handler answers one call, several, or with a stream; and what one argument and one result then are."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from skerry.errors import SpecError
from skerry.payload.hints import Parameter, union_parts
from skerry.payload.items import Items
from skerry.payload.tensor import Tensor

_ITERATORS = (collections.abc.Iterator, collections.abc.Generator)
_ASYNC_ITERATORS = (collections.abc.AsyncIterator, collections.abc.AsyncGenerator, collections.abc.AsyncIterable)
_SEQUENCES = (list, collections.abc.Sequence, collections.abc.MutableSequence)


class Shape(NamedTuple):
    """What one call of a handler is to its callers.

    Args:
        parameters: The handler's; of one that takes `Items`, with the annotation of one item.
        result: The annotation of the result; of one item where there are several.
        streams: Whether the result is sent piece by piece.
        takes_items: Whether one call of the handler answers several callers.
    """

    parameters: tuple[Parameter, ...]
    result: Any
    streams: bool = False
    takes_items: bool = False


def read_shape(call: Callable[..., Any], parameters: tuple[Parameter, ...], result: Any, name: str) -> Shape:
    """Return the shape of a handler.

    Args:
        call: The function that runs; of a class its ``__call__``.
        parameters: As annotated.
        result: As annotated.
        name: The handler's, for messages.

    Raises:
        SpecError: the annotations do not say what the code does, or streams and `Items` meet.
    """
    item = _streamed(call, result, name)
    taking = [p for p in parameters if any(_is_items(part) for part in union_parts(p.hint))]
    if not taking:
        return Shape(parameters, result if item is None else item.hint, streams=item is not None)
    only = taking[0]
    if item is not None:
        raise SpecError(
            f"handler {name}: a generator cannot take Items: its pieces belong to one caller, and Items to several",
            field=only.name,
        )
    if len(parameters) > 1 or only.by_keyword or not only.required or not _is_items(only.hint):
        raise SpecError(
            f"handler {name}: parameter {only.name}: Items must be the only parameter, positional, without a default "
            "and not in a union: put what each caller sends into the type of one item",
            field=only.name,
        )
    arguments = typing.get_args(only.hint)
    parameter = replace(only, hint=arguments[0] if arguments else Any)
    return Shape((parameter,), _item_of_result(result, name), takes_items=True)


class _Item(NamedTuple):
    hint: Any


def _streamed(call: Callable[..., Any], result: Any, name: str) -> _Item | None:
    # A decorated generator is a plain function that returns an iterator: its annotation says so.
    origin = typing.get_origin(result) or result
    if not inspect.isroutine(call) and not isinstance(call, functools.partial):
        call = type(call).__call__
    plain, asynchronous = inspect.isgeneratorfunction(call), inspect.isasyncgenfunction(call)
    fitting: tuple[Any, ...] = (*_ITERATORS, collections.abc.Iterable) if plain else _ITERATORS
    if asynchronous:
        fitting = _ASYNC_ITERATORS
    elif inspect.iscoroutinefunction(call):
        fitting = ()
    if origin in fitting:
        arguments = typing.get_args(result)
        return _Item(arguments[0] if arguments else Any)
    generates = plain or asynchronous
    if generates and result in (Any, object):
        return _Item(Any)
    if generates or origin in (*_ITERATORS, *_ASYNC_ITERATORS):
        raise SpecError(
            f"handler {name}: its result is annotated {_text(result)}: a generator returns Iterator[T], an async "
            "generator (async def with yield) returns AsyncIterator[T]",
            field="return",
        )
    return None


def _item_of_result(result: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(result), typing.get_args(result)
    if result in (Any, object) or result in _SEQUENCES:
        return Any
    if origin is Annotated and any(isinstance(mark, Tensor) for mark in arguments):
        return Any  # one number, or one row, for each caller
    if origin not in _SEQUENCES and not (origin is tuple and len(arguments) == 2 and arguments[1] is ...):
        raise SpecError(
            f"handler {name}: its result is annotated {_text(result)}: a handler that takes Items returns list[R], one "
            "R for each item",
            field="return",
        )
    parts = tuple(part for part in union_parts(arguments[0]) if not _is_error(part))
    if len(parts) == len(union_parts(arguments[0])):
        return arguments[0]
    return typing.Union[parts] if parts else None  # noqa: UP007  # built from a tuple


def _is_items(hint: Any) -> bool:
    return hint is Items or typing.get_origin(hint) is Items


def _is_error(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseException)


def _text(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else repr(hint)
