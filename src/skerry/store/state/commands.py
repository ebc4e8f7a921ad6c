"""What can be done with a key, with the types that people see: operations, and how their results are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from skerry.errors import ConfigError
from skerry.store.state.keys import check_key
from skerry.store.state.operation import COUNTER_LIMIT, Operation, Verb
from skerry.store.state.values import encode_value, reader, ttl_ms

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Generic[T]):
    """A value and its version.

    Args:
        value: The value.
        version: Grows with every change; no version comes twice.
    """

    value: T
    version: int


@dataclass(frozen=True, slots=True)
class Command(Generic[T]):
    """An operation, and what makes its result of what a store answers.

    Args:
        operation: What the store is asked for.
        read: From the store's result to the one that people see.
    """

    operation: Operation
    read: Callable[[Any], T]


def entry(key: str, kind: Any) -> Command[Entry[Any] | None]:
    """Read a value and its version."""
    read = reader(kind)
    return Command(
        Operation(verb=Verb.GET, key=check_key(key)),
        lambda found: None if found is None else Entry(value=read(found[0]), version=found[1]),
    )


def get(key: str, kind: Any) -> Command[Any]:
    """Read a value."""
    read = reader(kind)
    return Command(
        Operation(verb=Verb.GET, key=check_key(key)), lambda found: None if found is None else read(found[0])
    )


def put(key: str, value: Any, ttl_s: float | None) -> Command[int]:
    """Write a value."""
    operation = Operation(verb=Verb.PUT, key=check_key(key), values=(encode_value(value),), ttl_ms=ttl_ms(ttl_s))
    return Command(operation, int)


def delete(key: str) -> Command[bool]:
    """Remove a key."""
    return Command(Operation(verb=Verb.DELETE, key=check_key(key)), bool)


def increment(key: str, by: int, ttl_s: float | None) -> Command[int]:
    """Add to a whole number."""
    if not isinstance(by, int) or abs(by) > COUNTER_LIMIT:
        raise ConfigError(f"state: {key!r:.100} cannot be incremented by {by!r:.100}: write a whole number")
    return Command(Operation(verb=Verb.INCREMENT, key=check_key(key), number=by, ttl_ms=ttl_ms(ttl_s)), int)


def expire(key: str, ttl_s: float | None) -> Command[bool]:
    """Say when a key ends."""
    return Command(Operation(verb=Verb.EXPIRE, key=check_key(key), ttl_ms=ttl_ms(ttl_s)), bool)


def append(key: str, values: tuple[Any, ...], ttl_s: float | None) -> Command[int]:
    """Put values at the end of a list."""
    return Command(_several(Verb.APPEND, key, values, ttl_s), int)


def pop(key: str, kind: Any, *, last: bool) -> Command[Any]:
    """Take an element of a list away."""
    read = reader(kind)
    return Command(
        Operation(verb=Verb.POP, key=check_key(key), number=-1 if last else 0),
        lambda found: None if found is None else read(found),
    )


def items(key: str, start: int, stop: int | None, kind: Any) -> Command[list[Any]]:
    """Read a part of a list."""
    read = reader(kind)
    operation = Operation(verb=Verb.SLICE, key=check_key(key), number=start, stop=stop)
    return Command(operation, lambda found: [read(value) for value in found])


def add(key: str, values: tuple[Any, ...], ttl_s: float | None) -> Command[int]:
    """Put values into a set."""
    return Command(_several(Verb.ADD, key, values, ttl_s), int)


def discard(key: str, values: tuple[Any, ...]) -> Command[int]:
    """Take values out of a set."""
    return Command(_several(Verb.DISCARD, key, values, None), int)


def members(key: str, kind: Any) -> Command[list[Any]]:
    """Read a set."""
    read = reader(kind)
    return Command(Operation(verb=Verb.MEMBERS, key=check_key(key)), lambda found: [read(value) for value in found])


def contains(key: str, value: Any) -> Command[bool]:
    """Look for a value in a set."""
    return Command(Operation(verb=Verb.CONTAINS, key=check_key(key), values=(encode_value(value),)), bool)


def size(key: str) -> Command[int]:
    """Count a list or a set."""
    return Command(Operation(verb=Verb.SIZE, key=check_key(key)), int)


def _several(verb: Verb, key: str, values: tuple[Any, ...], ttl_s: float | None) -> Operation:
    if not values:
        raise ConfigError(f"state: {verb} to {key!r:.100} needs one value at least")
    return Operation(verb=verb, key=check_key(key), values=tuple(map(encode_value, values)), ttl_ms=ttl_ms(ttl_s))
