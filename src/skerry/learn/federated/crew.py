"""Threads that talk to the clients of a round, and one queue of what they bring."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from skerry.errors import SkerryError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one client's task.

    Args:
        client: Whose.
        round: Of which round.
        value: What the call returned; none if it failed.
        error: Why it failed.
    """

    client: str
    round: int
    value: Any = None
    error: SkerryError | None = None


class Crew:
    """A few threads that call clients one after the other; made for one round, and none waits for it to end.

    Args:
        round: The round.
        clients: Who is called, in this order.
        call: Calls one.
        outcomes: Where outcomes go; may be shared with other rounds, whose late ones come there too.
        size: Most threads.
    """

    def __init__(
        self,
        round: int,
        clients: Iterable[str],
        call: Callable[[str], Any],
        outcomes: queue.SimpleQueue[Outcome],
        *,
        size: int,
    ) -> None:
        self._round = round
        self._waiting = deque(clients)
        self._call = call
        self._outcomes = outcomes
        for _ in range(min(size, len(self._waiting))):
            # Daemons: a coordinator that ends does not wait for a client that does not.
            threading.Thread(target=self._work, name=f"skerry-round-{round}", daemon=True).start()

    def close(self) -> tuple[str, ...]:
        """Call nobody more; return who has not been called."""
        left = []
        while self._waiting:
            try:
                left.append(self._waiting.popleft())
            except IndexError:
                break
        return tuple(left)

    def _work(self) -> None:
        while True:
            try:
                client = self._waiting.popleft()
            except IndexError:
                return
            try:
                outcome = Outcome(client=client, round=self._round, value=self._call(client))
            except SkerryError as error:
                outcome = Outcome(client=client, round=self._round, error=error)
            self._outcomes.put(outcome)
