"""Locks that end by themselves, and the tokens that keep a late holder out."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from skerry.errors import ConfigError, DeadlineExceededError, StateConflictError
from skerry.store.state.keys import own_key
from skerry.store.state.operation import Operation, Verb
from skerry.store.state.values import ttl_ms

if TYPE_CHECKING:
    from skerry.store.state.scope import Scope

_LONGEST_WAIT_S = 1.0


class Lease(NamedTuple):
    """That a lock was held when it was taken.

    Args:
        key: Where the lock lies.
        token: The fencing token: grows with every time that the lock is taken, and never comes twice. A resource that
            remembers the greatest token it has seen, and refuses smaller ones, is safe from late holders.
    """

    key: str
    token: int

    @property
    def fence(self) -> Operation:
        """What refuses operations when the lease has ended, or somebody else has it."""
        return Operation(verb=Verb.CHECK, key=self.key, number=self.token)


class Lock:
    """A lock that one holder has at a time, for a limited time; made by `State.lock`. A context manager.

    The holder may be late: it was stopped, or lost its connection, and its time is over. So what is written under a
    lock takes the lease (``state.put(..., lease=lease)``): it is refused when the lease has ended.

    Args:
        scope: The state.
        name: The lock's name.
        ttl_s: How long it is held at most, unless it is renewed, seconds.
        wait_s: How long ``with`` waits for it, seconds; None: as long as it takes.
    """

    def __init__(self, scope: Scope, name: str, *, ttl_s: float, wait_s: float | None) -> None:
        self._scope = scope
        self._name = name
        self._key = own_key("lock", name)
        self._ttl_ms = ttl_ms(ttl_s)
        self._wait_s = wait_s
        self._lease: Lease | None = None

    def acquire(self, wait_s: float | None = 0.0) -> Lease | None:
        """Take the lock.

        Args:
            wait_s: How long to wait for it, seconds; None: as long as it takes.

        Returns:
            The lease; None when somebody else had it all the time.

        Raises:
            StorageError: the state cannot be reached. The lock may then have been taken; it ends by itself.
        """
        self._lease = self._scope.wait_for(self._try, wait_s, longest_s=self._left_s)
        return self._lease

    def renew(self) -> None:
        """Hold the lock for its whole time again, from now.

        Raises:
            StateConflictError: the lease has ended; somebody else may have the lock.
        """
        lease = self._held()
        self._scope.run([lease.fence, Operation(verb=Verb.EXPIRE, key=self._key, ttl_ms=self._ttl_ms)])

    def release(self) -> bool:
        """Give the lock back.

        Returns:
            True: it was held until now. False: the lease had ended before.
        """
        lease, self._lease = self._held(), None
        try:
            self._scope.run([lease.fence, Operation(verb=Verb.DELETE, key=self._key)])
        except StateConflictError:
            return False
        return True

    def __enter__(self) -> Lease:
        lease = self.acquire(self._wait_s)
        if lease is None:
            raise DeadlineExceededError(
                f"state {self._scope.group}: the lock {self._name!r} was not free within {self._wait_s:g} s"
            )
        return lease

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lease is not None:
            self.release()

    def _try(self) -> Lease | None:
        take = [
            Operation(verb=Verb.CHECK, key=self._key, number=0),
            Operation(verb=Verb.PUT, key=self._key, values=(b"1",), ttl_ms=self._ttl_ms),
        ]
        try:
            return Lease(self._key, self._scope.run(take)[1])
        except StateConflictError:
            return None

    def _left_s(self) -> float:
        """Return after which time the lock ends by itself: nothing tells of that."""
        page = self._scope.run([Operation(verb=Verb.SCAN, key=self._key, number=1)])[0]
        left_ms = next((left_ms for key, _, _, left_ms in page if key == self._key), 0)
        return _LONGEST_WAIT_S if left_ms is None else min(_LONGEST_WAIT_S, (left_ms + 1) / 1000)

    def _held(self) -> Lease:
        if self._lease is None:
            raise ConfigError(f"state {self._scope.group}: the lock {self._name!r} is not held; acquire it first")
        return self._lease
