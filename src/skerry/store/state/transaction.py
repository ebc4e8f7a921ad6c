"""Reads and writes of several keys that hold together: done at one moment, or tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

from skerry.errors import StateConflictError
from skerry.store.state import commands
from skerry.store.state.batch import Run, Writes
from skerry.store.state.operation import Operation, Verb

R = TypeVar("R")
T = TypeVar("T")

ATTEMPTS = 200
_LONGEST_PAUSE_S = 0.02


class Transaction(Writes):
    """What a function that runs in `State.transact` reads and writes.

    Reads see what is there now; writes are kept until the function returns. They are done when all that was read is
    still of the version that was read, else the function runs again.
    """

    def __init__(self, run: Run, *, fence: Operation | None) -> None:
        super().__init__()
        self._run = run
        self._checks: dict[str, Operation] = {}
        self._fence = fence

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: str, kind: type[T]) -> T | None: ...
    def get(self, key: str, kind: Any = None) -> Any:
        """Read a value as it was before this transaction; as `State.get`.

        Raises:
            StateConflictError: it has changed since this transaction read it first; the function is run again.
        """
        found = self._run([commands.entry(key, kind).operation])[0]
        version = 0 if found is None else found[1]
        before = self._checks.setdefault(key, Operation(verb=Verb.CHECK, key=key, number=version))
        if before.number != version:
            raise StateConflictError(f"{key} changed during a transaction", key=key)
        return None if found is None else commands.entry(key, kind).read(found).value  # type: ignore[union-attr]  # found

    def _commit(self) -> None:
        guards = [*self._checks.values(), *([] if self._fence is None else [self._fence])]
        results = self._run(guards + self._operations)
        self._fill(results[len(guards) :])


def transact(run: Run, function: Callable[[Transaction], R], *, fence: Operation | None) -> R:
    """Run a function in transactions until one of them is done; see `State.transact`.

    Args:
        run: Does operations on the state.
        function: What reads and writes.
        fence: The check of a lease, when there is one.
    """
    for attempt in range(1, ATTEMPTS + 1):
        transaction = Transaction(run, fence=fence)
        try:
            result = function(transaction)
            transaction._commit()
            return result
        except StateConflictError as error:
            mine = error.details.get("key") in transaction._checks
            if not mine or attempt == ATTEMPTS:
                raise
        time.sleep(random.uniform(0, min(0.0002 * attempt, _LONGEST_PAUSE_S)))
    raise AssertionError  # the last attempt returns or raises
