"""What functions keep outside themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

from skerry.errors import ConfigError, StateConflictError
from skerry.store.state import commands, watching
from skerry.store.state.barrier import Barrier
from skerry.store.state.base import StateStore
from skerry.store.state.batch import Batch
from skerry.store.state.commands import Command, Entry
from skerry.store.state.keys import check_key, check_prefix
from skerry.store.state.lease import Lease, Lock
from skerry.store.state.operation import Operation, Verb
from skerry.store.state.scope import Scope
from skerry.store.state.transaction import Transaction, transact
from skerry.store.state.watching import Change, KeyInfo

T = TypeVar("T")
R = TypeVar("R")


class State:
    """A named group of keys, kept outside of the functions that use it; made by `App.state`.

    A key holds a value, a list or a set. Values are typed as payloads are: what is read with ``kind`` is checked
    against it. Every method happens at one moment, whoever else works on the state, and what has returned survives the
    death of any process. See `StateStore` for what is raised.

    Methods block for the time of their round trip; async handlers call those that wait (locks, barriers, `watch`)
    through ``asyncio.to_thread``.

    Args:
        find: Finds the store, each time it is used.
        group: The group, ``APP/NAME``.

    Example:
        ``counts = app.state("counts")``, and in a function ``counts.increment(word)``.
    """

    __slots__ = ("_scope",)

    def __init__(self, find: Callable[[], StateStore], group: str) -> None:
        self._scope = Scope(find, group)

    def __repr__(self) -> str:
        return f"<State {self.group}>"

    @property
    def group(self) -> str:
        """Which state of which app it is, ``APP/NAME``."""
        return self._scope.group

    @property
    def url(self) -> str:
        """The address of the store, without a credential."""
        return self._scope.url

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, kind: type[T]) -> T | None: ...
    @overload
    def get(self, key: str, kind: Any) -> Any: ...  # what is no class, such as Annotated
    def get(self, key: str, kind: Any = None) -> Any:
        """Return the value of a key; None when there is none.

        Args:
            key: The key.
            kind: What the value has to be, as a parameter's annotation.

        Raises:
            ConfigError: the key holds a list or a set, or the value is not of that kind.
        """
        return self._do(commands.get(key, kind))

    @overload
    def entry(self, key: str) -> Entry[Any] | None: ...
    @overload
    def entry(self, key: str, kind: type[T]) -> Entry[T] | None: ...
    @overload
    def entry(self, key: str, kind: Any) -> Entry[Any] | None: ...
    def entry(self, key: str, kind: Any = None) -> Any:
        """Return the value of a key with its version; None when there is none. Raises as `get` does."""
        return self._do(commands.entry(key, kind))

    def put(self, key: str, value: Any, *, ttl_s: float | None = None, lease: Lease | None = None) -> int:
        """Write a value in place of whatever the key holds.

        Args:
            key: The key.
            value: What a payload can be; at most 64 MiB.
            ttl_s: After how many seconds the key ends; None: never.
            lease: Of a lock under which this is done: it is refused when the lease has ended.

        Returns:
            The key's version.

        Raises:
            StateConflictError: the lease has ended.
        """
        return self._do(commands.put(key, value, ttl_s), lease)

    def compare_and_set(self, key: str, value: Any, *, version: int, ttl_s: float | None = None) -> int:
        """Write a value if the key is still of a version; 0 means: if there is no such key.

        Returns:
            The new version; 0 when somebody else was faster and nothing was done.
        """
        check = Operation(verb=Verb.CHECK, key=check_key(key), number=version)
        try:
            return int(self._scope.run([check, commands.put(key, value, ttl_s).operation])[1])
        except StateConflictError:
            return 0

    def delete(self, key: str, *, lease: Lease | None = None) -> bool:
        """Remove a key, and return whether there was one. Raises as `put` does."""
        return self._do(commands.delete(key), lease)

    def increment(self, key: str, by: int = 1, *, ttl_s: float | None = None, lease: Lease | None = None) -> int:
        """Add to a whole number; a key that is not there counts as 0.

        Args:
            key: The key.
            by: What to add; may be negative.
            ttl_s: After how many seconds a number that begins here ends. One that is there keeps its end.
            lease: As for `put`.

        Returns:
            The new number.

        Raises:
            ConfigError: the key holds something else, or the number would leave -2**53 to 2**53.
        """
        return self._do(commands.increment(key, by, ttl_s), lease)

    def expire(self, key: str, ttl_s: float | None) -> bool:
        """Let a key end after a time from now, None: never; return whether there is one. Its version stays."""
        return self._do(commands.expire(key, ttl_s))

    def append(self, key: str, *values: Any, ttl_s: float | None = None, lease: Lease | None = None) -> int:
        """Put values at the end of a list, which is made when there is none, and return its new length.

        ``ttl_s`` is for a list that begins here; ``lease`` as for `put`.
        """
        return self._do(commands.append(key, values, ttl_s), lease)

    @overload
    def pop(self, key: str, *, last: bool = False) -> Any: ...
    @overload
    def pop(self, key: str, kind: type[T], *, last: bool = False) -> T | None: ...
    @overload
    def pop(self, key: str, kind: Any, *, last: bool = False) -> Any: ...
    def pop(self, key: str, kind: Any = None, *, last: bool = False) -> Any:
        """Take the first (or the last) element of a list away and return it; None when there is no list."""
        return self._do(commands.pop(key, kind, last=last))

    @overload
    def items(self, key: str, start: int = 0, stop: int | None = None) -> list[Any]: ...
    @overload
    def items(self, key: str, start: int = 0, stop: int | None = None, *, kind: type[T]) -> list[T]: ...
    @overload
    def items(self, key: str, start: int = 0, stop: int | None = None, *, kind: Any) -> list[Any]: ...
    def items(self, key: str, start: int = 0, stop: int | None = None, *, kind: Any = None) -> list[Any]:
        """Return the elements of a list from ``start`` to ``stop``, which mean what they do in ``list[start:stop]``."""
        return self._do(commands.items(key, start, stop, kind))

    def add(self, key: str, *values: Any, ttl_s: float | None = None, lease: Lease | None = None) -> int:
        """Put values into a set, which is made when there is none, and return how many were not in it.

        Values are the same when their encoded bytes are. ``ttl_s`` and ``lease`` as for `append`.
        """
        return self._do(commands.add(key, values, ttl_s), lease)

    def discard(self, key: str, *values: Any, lease: Lease | None = None) -> int:
        """Take values out of a set, and return how many were in it."""
        return self._do(commands.discard(key, values), lease)

    @overload
    def members(self, key: str) -> list[Any]: ...
    @overload
    def members(self, key: str, kind: type[T]) -> list[T]: ...
    @overload
    def members(self, key: str, kind: Any) -> list[Any]: ...
    def members(self, key: str, kind: Any = None) -> list[Any]:
        """Return the members of a set, in the order of their encoded bytes."""
        return self._do(commands.members(key, kind))

    def contains(self, key: str, value: Any) -> bool:
        """Return whether a value is in a set."""
        return self._do(commands.contains(key, value))

    def size(self, key: str) -> int:
        """Return how many elements a list or a set has; 0 when there is none."""
        return self._do(commands.size(key))

    def list(self, prefix: str = "") -> Iterator[KeyInfo]:
        """Yield the keys that begin with a prefix, sorted; those written meanwhile may be among them or not."""
        return watching.list_keys(self._scope, check_prefix(prefix))

    def watch(self, prefix: str = "", *, wait_s: float | None = None) -> Iterator[Change]:
        """Yield changes of the keys that begin with a prefix, from now on.

        A key that changes again before its change was told is told of once, with its last version. Each change lists
        the keys, so a prefix should have few of them.

        Args:
            prefix: What the keys begin with.
            wait_s: How long to watch, seconds; None: for ever.
        """
        return watching.watch(self._scope, check_prefix(prefix), wait_s)

    def batch(self, *, lease: Lease | None = None, once: str | None = None) -> Batch:
        """Return a block of commands that are sent together when it ends, and happen at one moment.

        Args:
            lease: As for `put`, for all of them.
            once: A text that names this work, such as an event's source and id: within seven days a second batch of
                this name does nothing, and its ``applied`` is false.

        Example:
            ``with state.batch(once=event.id) as batch: total = batch.increment("events")``, and then ``total.value``.
        """
        return Batch(self._scope.run, fence=None if lease is None else lease.fence, once=once)

    def transact(self, function: Callable[[Transaction], R], *, lease: Lease | None = None) -> R:
        """Run a function that reads and writes several keys as if nobody else were there.

        It may run several times, until nothing that it has read was changed before its writes were done; so it should
        have no other effects.

        Args:
            function: Takes a `Transaction`; its result is returned.
            lease: As for `put`.

        Raises:
            StateConflictError: the lease has ended, a check of the function's own did not hold, or others were faster
                200 times.
        """
        return transact(self._scope.run, function, fence=None if lease is None else lease.fence)

    def lock(self, name: str, *, ttl_s: float = 30.0, wait_s: float | None = None) -> Lock:
        """Return a lock that one holder has at a time, for ``ttl_s`` seconds at most.

        Args:
            name: The lock's name; it has nothing to do with a key of this name.
            ttl_s: How long it is held, unless it is renewed.
            wait_s: How long ``with`` waits for it, seconds; None: as long as it takes.

        Example:
            ``with state.lock("router") as lease: state.put("rules", rules, lease=lease)``
        """
        return Lock(self._scope, name, ttl_s=ttl_s, wait_s=wait_s)

    def barrier(self, name: str, parties: int) -> Barrier:
        """Return a place where that many parties wait until all of them are there.

        Example:
            ``state.barrier(f"round-{number}", 8).wait(party=part)``
        """
        return Barrier(self._scope, name, parties)

    def _do(self, command: Command[R], lease: Lease | None = None) -> R:
        if lease is None:
            return command.read(self._scope.run([command.operation])[0])
        if not isinstance(lease, Lease):
            raise ConfigError("lease: give what a lock's `acquire` or `with` returned")
        return command.read(self._scope.run([lease.fence, command.operation])[1])
