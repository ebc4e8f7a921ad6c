"""One state of one app: which group it is, where it is kept, and how to wait for changes of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from skerry.store.state.base import StateStore
from skerry.store.state.operation import Operation, Results, Verb

T = TypeVar("T")


class Scope:
    """A group of a store that is looked for when it is first used.

    Args:
        find: Finds the store; asked again each time, so that a forked process gets its own.
        group: The group, ``APP/NAME``.
    """

    __slots__ = ("_find", "group")

    def __init__(self, find: Callable[[], StateStore], group: str) -> None:
        self._find = find
        self.group = group

    @property
    def url(self) -> str:
        """The address of the store."""
        return self._find().url

    def run(self, operations: list[Operation]) -> Results:
        """Do operations at one moment; see `StateStore.run`."""
        return self._find().run(self.group, operations)

    def wait_for(
        self, look: Callable[[], T | None], wait_s: float | None, *, longest_s: Callable[[], float]
    ) -> T | None:
        """Return what a look finds, looking again whenever the state has changed.

        Args:
            look: Returns None as long as it finds nothing.
            wait_s: How long to go on, seconds; None: for ever.
            longest_s: Says after which time it looks again even when nothing has changed, seconds: a key may have
                ended.

        Returns:
            What was found; None when the time is over.
        """
        until = None if wait_s is None else time.monotonic() + wait_s
        while True:
            # Read before the look: a change between the two ends the wait at once.
            revision = 0 if wait_s == 0 else self.revision()
            if (found := look()) is not None:
                return found
            left_s = longest_s() if until is None else min(longest_s(), until - time.monotonic())
            if left_s <= 0:
                return None
            self._find().wait(self.group, revision, left_s)

    def revision(self) -> int:
        """Return how often the state was changed."""
        return int(self.run([Operation(verb=Verb.REVISION)])[0])
