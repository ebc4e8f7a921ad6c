"""Whether the steps of a chain fit each other: what one returns must be what the next one takes."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

from skerry.errors import SpecError
from skerry.spec.chain import CallStep, ChoiceStep, EachStep, ParallelStep, Step, WaitStep

if TYPE_CHECKING:
    from skerry.app.function import BaseFunction

    Functions = Mapping[str, BaseFunction[Any, Any]]

LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


class Types:
    """What the functions of an app take and return.

    Args:
        chain: The chain's name, for messages.
        functions: The app's functions by name.
    """

    def __init__(self, chain: str, functions: Functions) -> None:
        self._chain = chain
        self._functions = functions

    def check(self, steps: Sequence[Step], given: Any = Any, before: str = "") -> Any:
        """Return what steps return that are given a value of this type.

        Args:
            steps: The steps.
            given: What the first one is given.
            before: What gives it, for messages.

        Raises:
            SpecError: a step does not take what it is given, or is no function of the app that a chain can call.
        """
        for step in steps:
            given, before = self._check(step, given, before), _name_of(step)
        return given

    # Inside

    def _check(self, step: Step, given: Any, before: str) -> Any:
        if isinstance(step, CallStep):
            takes, gives = self._sides(step.function)
            self._require(given, takes, before, f"{step.function!r} takes")
            if step.undo is not None:
                self._require(gives, self._sides(step.undo)[0], repr(step.function), f"its undo {step.undo!r} takes")
            return gives
        if isinstance(step, EachStep):
            return list[self.check(step.steps, self._item(given, before), f"an item of {before}")]  # type: ignore[misc]  # known when it runs
        if isinstance(step, ParallelStep):
            return tuple[tuple(self.check(branch, given, before) for branch in step.branches)]  # type: ignore[misc]  # known when it runs
        if isinstance(step, WaitStep):
            return given
        return self._choice(step, given, before)

    def _choice(self, step: ChoiceStep, given: Any, before: str) -> Any:
        takes, gives = self._sides(step.function)
        self._require(given, takes, before, f"{step.function!r} takes")
        self._require(gives, str | bool, repr(step.function), "a choice needs the name of a branch:")
        branches = [*step.branches.values(), *(() if step.otherwise is None else (step.otherwise,))]
        ends = [self.check(branch, given, before) for branch in branches]
        return Any if Any in ends else Union[tuple(ends)]  # noqa: UP007  # built from a tuple

    def _item(self, given: Any, before: str) -> Any:
        origin, args = typing.get_origin(given), typing.get_args(given)
        if _is_any(given) or given in (list, tuple):
            return Any
        if origin in LISTS:
            return args[0]
        if origin is tuple:
            return args[0] if len(args) == 2 and args[1] is ... else Union[args]  # noqa: UP007  # built from a tuple
        raise SpecError(f"chain {self._chain!r}: each takes a list, and {before} returns {_text(given)}", field="chain")

    def _sides(self, name: str) -> tuple[Any, Any]:
        """Return what a function takes and returns."""
        from skerry.payload.hints import find_call, read_handler, takes_event, takes_events
        from skerry.payload.shape import read_shape

        function = self._functions.get(name)
        if function is None:
            raise SpecError(
                f"chain {self._chain!r}: {name!r} is no function of this app; it has: {', '.join(self._functions)}",
                field="chain",
            )
        parameters, result, _ = read_handler(function.handler)
        call, _ = find_call(function.handler, name)
        parameters, result, streams, _ = read_shape(call, parameters, result, name)
        if streams:
            raise SpecError(f"chain {self._chain!r}: function {name!r} is a generator; return a list", field="chain")
        if len(parameters) > 1:
            raise SpecError(
                f"chain {self._chain!r}: function {name!r} takes {len(parameters)} parameters; a step takes one value",
                field="chain",
            )
        takes = parameters[0].hint if parameters else Any
        if takes_event(takes) or takes_events(takes):
            raise SpecError(
                f"chain {self._chain!r}: function {name!r} takes an event; a step takes a value: annotate its data",
                field="chain",
            )
        return takes, result

    def _require(self, given: Any, wanted: Any, before: str, after: str) -> None:
        if not fits(given, wanted):
            raise SpecError(
                f"chain {self._chain!r}: {before} returns {_text(given)}, and {after} {_text(wanted)}", field="chain"
            )


def fits(given: Any, wanted: Any) -> bool:
    """Return whether a value of one type, sent as MessagePack, is read as another one.

    What only the value can tell, such as whether a dictionary has a model's fields, passes: it is checked when it is
    read.
    """
    given, wanted = _bare(given), _bare(wanted)
    if _is_any(given) or _is_any(wanted) or given == wanted:
        return True
    lefts, rights = _parts(given), _parts(wanted)
    if len(lefts) > 1 or len(rights) > 1:
        return all(any(fits(left, right) for right in rights) for left in lefts)
    if type(None) in (lefts[0], rights[0]):
        return lefts == rights
    check = _fits_list if _is_list(lefts[0]) or _is_list(rights[0]) else _fits_class
    return check(lefts[0], rights[0])


def _parts(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, and the types of literal values."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(part for member in typing.get_args(hint) for part in _parts(member))
    if typing.get_origin(hint) is Literal:
        return tuple({type(value): None for value in typing.get_args(hint)})
    return (type(None) if hint is None else hint,)


def _fits_list(given: Any, wanted: Any) -> bool:
    if not (_is_list(given) and _is_list(wanted)):
        return False
    left, right = _elements(given), _elements(wanted)
    if left is None or right is None:
        return True
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(fits(a, b) for a, b in zip(left, right, strict=True))
    lefts = left if isinstance(left, tuple) else (left[0],)
    rights = right if isinstance(right, tuple) else (right[0],)
    return all(fits(a, b) for a in lefts for b in rights)


def _fits_class(given: Any, wanted: Any) -> bool:
    left, right = typing.get_origin(given) or given, typing.get_origin(wanted) or wanted
    if not (inspect.isclass(left) and inspect.isclass(right)):
        return True  # what is neither is told when a value is read
    mappings = issubclass(left, collections.abc.Mapping), issubclass(right, collections.abc.Mapping)
    if all(mappings):
        return all(fits(a, b) for a, b in zip(typing.get_args(given), typing.get_args(wanted), strict=False))
    if issubclass(left, right) or (left is int and right is float):
        return True
    plain = (str, int, float, bool, bytes)
    return any(mappings) and left not in plain and right not in plain  # a model is written as a mapping


def _is_list(hint: Any) -> bool:
    return (typing.get_origin(hint) or hint) in (*LISTS, tuple, set, frozenset)


def _elements(hint: Any) -> Any:
    """Return the types of a tuple's places as a tuple, that of a list's items as a list; none where nothing is said."""
    args = typing.get_args(hint)
    if not args:
        return None
    if typing.get_origin(hint) is tuple and not (len(args) == 2 and args[1] is ...):
        return tuple(args)
    return [args[0]]


def _bare(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _is_any(hint: Any) -> bool:
    return hint is Any or hint is object or isinstance(hint, typing.TypeVar)


def _name_of(step: Step) -> str:
    if isinstance(step, CallStep):
        return repr(step.function)
    names = {EachStep: "each", ParallelStep: "parallel", ChoiceStep: "choice", WaitStep: "wait"}
    return names[type(step)]


def _text(hint: Any) -> str:
    return hint.__name__ if inspect.isclass(hint) and not typing.get_args(hint) else str(hint).replace("typing.", "")
