"""What a handler's parameters and result are annotated with."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from skerry.errors import SpecError
from skerry.payload.event import Event
from skerry.payload.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a handler.

    Args:
        name: Its name.
        hint: Its annotation, `Any` where there is none.
        required: Whether it has no default.
        by_keyword: Whether it can only be given by name.
    """

    name: str
    hint: Any
    required: bool
    by_keyword: bool


def read_handler(handler: Any) -> tuple[tuple[Parameter, ...], Any, inspect.Signature]:
    """Return the parameters of a handler, the annotation of its result, and its signature without ``self``.

    Args:
        handler: A plain or async function, a class with ``__call__``, or an object that can be called.

    Raises:
        SpecError: the handler cannot be called, has parameters that no body can fill, or names unknown types.
    """
    name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
    call, drop_first = find_call(handler, name)
    try:
        signature = inspect.signature(call)
        hints = _read_hints(call)
    except (ValueError, TypeError, SyntaxError, AttributeError) as error:
        raise SpecError(f"handler {name}: its parameters cannot be read: {error}") from error
    except NameError as error:
        raise SpecError(
            f"handler {name}: {error}; a type in an annotation must be importable in the handler's module at run time "
            "(not under TYPE_CHECKING, not local to a function)"
        ) from error
    declared = list(signature.parameters.values())[1 if drop_first else 0 :]
    signature = signature.replace(parameters=declared)
    parameters = tuple(_read_parameter(p, hints.get(p.name, Any), name, alone=len(declared) == 1) for p in declared)
    if len(parameters) > 1 and any(takes_event(p.hint) or takes_events(p.hint) for p in parameters):
        raise SpecError(f"handler {name}: an Event parameter must be the only one; its data is in event.data")
    return parameters, mark_arrays(hints.get("return", Any)), signature


def find_call(handler: Any, name: str) -> tuple[Callable[..., Any], bool]:
    """Return the function that a handler's calls run, and whether its first parameter is ``self``.

    Raises:
        SpecError: the handler cannot be called.
    """
    if inspect.isclass(handler):
        found = next((c.__dict__["__call__"] for c in handler.__mro__ if "__call__" in c.__dict__), None)
        if found is None:
            raise SpecError(f"handler {name}: a class needs a __call__ method, which answers the requests")
        static = isinstance(found, staticmethod)
        return (found.__func__ if static else found), not static
    if not callable(handler):
        raise SpecError(f"handler {name}: expected a function or a class with __call__, got {handler!r:.80}")
    return handler, False


def takes_event(hint: Any) -> bool:
    """Return whether an annotation is `Event`, or `Event` or None."""
    parts = union_parts(hint)
    return Event in parts and all(part in (Event, type(None)) for part in parts)


def takes_events(hint: Any) -> bool:
    """Return whether an annotation is a list of `Event`."""
    return typing.get_origin(hint) is list and typing.get_args(hint) == (Event,)


def without_event(hint: Any) -> tuple[Any, bool]:
    """Return a result's annotation without `Event`, and whether the result may be one.

    A result that is not annotated may be anything, an event too.
    """
    if hint is Any or hint is object:
        return hint, True
    parts = union_parts(hint)
    if Event not in parts:
        return hint, False
    rest = tuple(part for part in parts if part is not Event)
    return (typing.Union[rest] if rest else None), True  # noqa: UP007  # built from a tuple


def is_plain(hint: Any) -> bool:
    """Return whether orjson writes every value of an annotation just as pydantic would, so that it can be left out."""
    if hint in (Any, object, None, type(None), int, float, str, bool, dict, list):
        return True
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return is_plain(args[0])
    if origin is tuple:
        return all(arg is ... or is_plain(arg) for arg in args)
    if origin is dict:
        return args[0] is str and is_plain(args[1])
    return len(union_parts(hint)) > 1 and all(is_plain(part) for part in union_parts(hint))


def union_parts(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union; of any other annotation itself."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def mark_arrays(hint: Any) -> Any:
    """Return an annotation with a `Tensor` on each ``np.ndarray`` and ``NDArray[...]`` that has none."""
    np = sys.modules.get("numpy")
    if np is None:
        return hint
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is np.ndarray or origin is np.ndarray:
        return Annotated[np.ndarray, Tensor(_element_type(args))]
    if origin is None or (origin is Annotated and any(isinstance(item, Tensor) for item in args)):
        return hint
    marked = tuple(mark_arrays(arg) for arg in args)
    if all(new is old for new, old in zip(marked, args, strict=True)):
        return hint
    if origin in (typing.Union, types.UnionType):
        return typing.Union[marked]  # noqa: UP007  # built from a tuple
    return Annotated[marked] if origin is Annotated else origin[marked]


def _read_hints(call: Any) -> dict[str, Any]:
    while isinstance(call, functools.partial):
        call = call.func
    if not (inspect.isroutine(call) or inspect.isclass(call)):
        call = type(call).__call__
    function = inspect.unwrap(call)
    inner = getattr(function, "__func__", function)
    cells = getattr(inner, "__closure__", None) or ()
    names = getattr(getattr(inner, "__code__", None), "co_freevars", ())
    enclosing = {}
    for free_name, cell in zip(names, cells, strict=False):
        try:
            enclosing[free_name] = cell.cell_contents
        except ValueError:  # not filled yet: then no annotation can mean it either
            continue
    return typing.get_type_hints(function, localns=enclosing or None, include_extras=True)


def _read_parameter(parameter: inspect.Parameter, hint: Any, handler: str, *, alone: bool) -> Parameter:
    kind = parameter.kind
    if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        stars = "*" if kind is inspect.Parameter.VAR_POSITIONAL else "**"
        raise SpecError(
            f"handler {handler}: parameter {stars}{parameter.name}: a body cannot fill it; name every parameter, "
            "or take one list or dict",
            field=parameter.name,
        )
    if kind is inspect.Parameter.POSITIONAL_ONLY and not alone:
        raise SpecError(
            f"handler {handler}: parameter {parameter.name} is positional-only: the members of a body fill several "
            "parameters by name; remove the /",
            field=parameter.name,
        )
    return Parameter(
        name=parameter.name,
        hint=mark_arrays(hint),
        required=parameter.default is inspect.Parameter.empty,
        by_keyword=kind is inspect.Parameter.KEYWORD_ONLY,
    )


def _element_type(args: tuple[Any, ...]) -> str | None:
    # np.ndarray[shape, np.dtype[np.float32]]; an abstract or unnamed element type leaves it free.
    scalars = typing.get_args(args[1]) if len(args) == 2 else ()
    if scalars and isinstance(scalars[0], type):
        np = sys.modules["numpy"]
        if issubclass(scalars[0], np.generic) and not scalars[0].__subclasses__():
            return str(np.dtype(scalars[0]).name)
    return None
