"""Several commands in one round trip, at one moment."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from skerry.errors import ConfigError, StateConflictError
from skerry.store.state import commands
from skerry.store.state.commands import Command
from skerry.store.state.keys import check_key, own_key
from skerry.store.state.operation import Operation, Results, Verb
from skerry.store.state.values import ttl_ms

T = TypeVar("T")
ONCE_TTL_S = 7 * 86400.0

Run = Callable[[list[Operation]], Results]


class Reply(Generic[T]):
    """The result of a command of a batch: there once the batch has been sent."""

    __slots__ = ("_read", "_result", "_there")

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._there = False
        self._result: Any = None

    @property
    def value(self) -> T:
        """The result.

        Raises:
            ConfigError: the batch has not been sent, or was not applied.
        """
        if not self._there:
            raise ConfigError("the result of a command of a batch is there when the batch was sent and applied")
        return self._read(self._result)

    def _set(self, result: Any) -> None:
        self._there, self._result = True, result


class Writes:
    """The commands of a batch or a transaction: each is kept, and they are all done together at the end."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._replies: list[Reply[Any] | None] = []

    def check(self, key: str, version: int) -> None:
        """Refuse the whole unless a key has this version; 0 means that there is no such key."""
        self._operations.append(Operation(verb=Verb.CHECK, key=check_key(key), number=version))
        self._replies.append(None)

    def put(self, key: str, value: Any, *, ttl_s: float | None = None) -> Reply[int]:
        """As `State.put`."""
        return self._keep(commands.put(key, value, ttl_s))

    def delete(self, key: str) -> Reply[bool]:
        """As `State.delete`."""
        return self._keep(commands.delete(key))

    def increment(self, key: str, by: int = 1, *, ttl_s: float | None = None) -> Reply[int]:
        """As `State.increment`."""
        return self._keep(commands.increment(key, by, ttl_s))

    def expire(self, key: str, ttl_s: float | None) -> Reply[bool]:
        """As `State.expire`."""
        return self._keep(commands.expire(key, ttl_s))

    def append(self, key: str, *values: Any, ttl_s: float | None = None) -> Reply[int]:
        """As `State.append`."""
        return self._keep(commands.append(key, values, ttl_s))

    def add(self, key: str, *values: Any, ttl_s: float | None = None) -> Reply[int]:
        """As `State.add`."""
        return self._keep(commands.add(key, values, ttl_s))

    def discard(self, key: str, *values: Any) -> Reply[int]:
        """As `State.discard`."""
        return self._keep(commands.discard(key, values))

    def _keep(self, command: Command[T]) -> Reply[T]:
        reply = Reply(command.read)
        self._operations.append(command.operation)
        self._replies.append(reply)
        return reply

    def _fill(self, results: Results) -> None:
        for reply, result in zip(self._replies, results, strict=True):
            if reply is not None:
                reply._set(result)


class Batch(Writes):
    """Commands that are sent together when the block of ``with`` ends; made by `State.batch`.

    When the block raises, nothing is sent.

    Attributes:
        applied: Whether the batch was applied; false when it was applied before, under the same ``once``.
    """

    def __init__(self, run: Run, *, fence: Operation | None, once: str | None) -> None:
        super().__init__()
        self._run = run
        self._fence = fence
        self._once = once
        self.applied = False

    def get(self, key: str, kind: type[T] | None = None) -> Reply[T | None]:
        """As `State.get`."""
        return self._keep(commands.get(key, kind))

    def pop(self, key: str, kind: type[T] | None = None, *, last: bool = False) -> Reply[T | None]:
        """As `State.pop`."""
        return self._keep(commands.pop(key, kind, last=last))

    def items(
        self, key: str, start: int = 0, stop: int | None = None, *, kind: type[T] | None = None
    ) -> Reply[list[T]]:
        """As `State.items`."""
        return self._keep(commands.items(key, start, stop, kind))

    def members(self, key: str, kind: type[T] | None = None) -> Reply[list[T]]:
        """As `State.members`."""
        return self._keep(commands.members(key, kind))

    def contains(self, key: str, value: Any) -> Reply[bool]:
        """As `State.contains`."""
        return self._keep(commands.contains(key, value))

    def size(self, key: str) -> Reply[int]:
        """As `State.size`."""
        return self._keep(commands.size(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._operations:
            self._send()

    def _send(self) -> None:
        guards = [] if self._fence is None else [self._fence]
        marker = None if self._once is None else own_key("once", self._once)
        if marker is not None:
            guards.append(Operation(verb=Verb.CHECK, key=marker, number=0))
            guards.append(Operation(verb=Verb.PUT, key=marker, values=(b"1",), ttl_ms=ttl_ms(ONCE_TTL_S)))
        try:
            results = self._run(guards + self._operations)
        except StateConflictError as error:
            if marker is not None and error.details.get("key") == marker:
                return
            raise
        self._fill(results[len(guards) :])
        self.applied = True
