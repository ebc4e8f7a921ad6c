"""The deadlines that callers have set, the next one first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from skerry.runtime.call import Call


class Deadlines:
    """A heap of calls by deadline; those that are over stay in it until they come up, or become too many."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Call]] = []

    def add(self, deadline_s: float, call: Call, *, open_calls: int) -> None:
        """Remember a call's deadline.

        Args:
            deadline_s: When it passes, by the dispatcher's clock.
            call: The call.
            open_calls: Calls that are not over; entries far beyond that number are for calls that are.
        """
        if len(self._heap) > 2 * open_calls + 64:
            self._heap = [entry for entry in self._heap if not entry[2].done]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (deadline_s, call.arrival, call))

    def have_passed(self, now_s: float) -> bool:
        """Whether a deadline may have passed."""
        return bool(self._heap) and self._heap[0][0] <= now_s

    def next_s(self) -> float | None:
        """Return when the next deadline of a call that is not over passes, none without any."""
        while self._heap and self._heap[0][2].done:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_passed(self, now_s: float) -> Iterator[Call]:
        """Yield the calls whose deadlines have passed and that are not over."""
        while self.have_passed(now_s):
            call = heapq.heappop(self._heap)[2]
            if not call.done:
                yield call
