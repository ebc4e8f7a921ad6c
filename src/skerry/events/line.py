"""The deliveries of one trigger in memory, and which of them may go now: a state machine without I/O.

Deliveries with a key go one after the other: while one is with the function, or waits for its next attempt, those
behind it stay. Others go as they come.
"""

from __future__ import annotations

import heapq
from collections import deque

from skerry.events.delivery import Delivery


class Line:
    """Which deliveries of a trigger may go. Times are Unix seconds, as the caller reads them."""

    def __init__(self) -> None:
        self._ready: deque[Delivery] = deque()
        self._later: list[tuple[float, int, Delivery]] = []  # a heap by the time when they are due
        self._keys: dict[str, deque[Delivery]] = {}  # all of a key, the one whose turn it is first
        self._gone: dict[str, int] = {}  # how many of a key are with the function
        self._accepted: dict[int, float] = {}  # when what is held was accepted, by position
        self.held = 0  # that are not settled
        self.in_flight = 0
        self.held_bytes = 0

    def add(self, delivery: Delivery, now_s: float) -> None:
        """Take a delivery; those of one key in their order."""
        self.held += 1
        self.held_bytes += len(delivery.document)
        self._accepted[delivery.position] = delivery.accepted_at
        if delivery.key is None:
            self._admit(delivery, now_s)
            return
        others = self._keys.get(delivery.key)
        if others is None:
            self._keys[delivery.key] = deque((delivery,))
            self._admit(delivery, now_s)
        else:
            others.append(delivery)

    def take(self, now_s: float, most: int) -> list[Delivery]:
        """Return up to ``most`` deliveries that go to one call of the function.

        Those of one key may be together in a call, in their order. What has failed before goes alone.
        """
        while self._later and self._later[0][0] <= now_s:
            self._ready.append(heapq.heappop(self._later)[2])
        ready = self._ready
        taken: list[Delivery] = []
        while ready and len(taken) < most:
            if ready[0].alone and taken:
                break
            head = ready.popleft()
            alone = head.alone
            taken.append(head)
            if head.key is not None:
                self._gone[head.key] = 1 if alone else self._follow(head.key, taken, most, now_s)
            if alone:
                break
        self.in_flight += len(taken)
        return taken

    def done(self, delivery: Delivery, now_s: float) -> None:
        """Forget a delivery that was taken: it is dealt with, or dead."""
        self.held -= 1
        self.in_flight -= 1
        self.held_bytes -= len(delivery.document)
        del self._accepted[delivery.position]
        if delivery.key is not None:
            self._keys[delivery.key].remove(delivery)  # it stands at or near the head
            self._came_back(delivery.key, now_s)

    def again(self, delivery: Delivery, now_s: float) -> None:
        """Put a delivery back that was taken; its ``due_at`` says when it may go."""
        self.in_flight -= 1
        if delivery.key is None:
            self._admit(delivery, now_s)
        else:
            self._came_back(delivery.key, now_s)

    def oldest_s(self) -> float | None:
        """Return when the first of what is held was accepted; none where nothing is."""
        return next(iter(self._accepted.values()), None)

    def next_due_s(self) -> float | None:
        """Return when the next delivery that waits for its time is due; none without any."""
        return self._later[0][0] if self._later else None

    @property
    def has_ready(self) -> bool:
        """Whether a delivery may go at once."""
        return bool(self._ready)

    def _follow(self, key: str, taken: list[Delivery], most: int, now_s: float) -> int:
        """Take those behind the first of a key as well; return how many of the key go."""
        others = self._keys[key]
        count = 1
        while count < len(others) and len(taken) < most:
            following = others[count]
            if following.alone or following.due_at > now_s:
                break
            taken.append(following)
            count += 1
        return count

    def _came_back(self, key: str, now_s: float) -> None:
        left = self._gone[key] - 1
        if left:
            self._gone[key] = left
            return
        del self._gone[key]
        others = self._keys[key]
        if others:
            self._admit(others[0], now_s)
        else:
            del self._keys[key]

    def _admit(self, delivery: Delivery, now_s: float) -> None:
        if delivery.due_at > now_s:
            heapq.heappush(self._later, (delivery.due_at, delivery.position, delivery))
        else:
            self._ready.append(delivery)
