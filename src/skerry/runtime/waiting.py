"""The calls that wait for a worker, in the order in which they are served: by urgency, then by arrival."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from skerry.runtime.call import Call

LOOK_AHEAD = 256  # calls that are looked at for those of one group


class WaitingLine:
    """One queue for each urgency; most functions only ever use one.

    It may hold calls that are done, such as those whose callers have left: they are skipped, and `forget_done` drops
    them.
    """

    def __init__(self) -> None:
        self.stopped_by = ""  # what kept calls out of the group that was taken last: "weight", "group" or nothing
        self._lines: dict[int, deque[Call]] = {}
        self._order: list[deque[Call]] = []  # the lines, the most urgent first

    def __len__(self) -> int:
        return sum(map(len, self._order))

    def __iter__(self) -> Iterator[Call]:
        return chain.from_iterable(self._order)

    def push(self, call: Call) -> None:
        """Add a call behind those of its urgency."""
        line = self._lines.get(call.urgency)
        if line is None:
            line = self._line(call.urgency)
        line.append(call)

    def pop(self, most: int) -> list[Call]:
        """Take the next calls that still wait for their answers, at most so many."""
        calls: list[Call] = []
        for line in self._order:
            while line and len(calls) < most:
                call = line.popleft()
                if not call.done:
                    calls.append(call)
        return calls

    def head(self) -> Call | None:
        """Return the next call that still waits for its answer and leave it where it is."""
        for line in self._order:
            while line:
                if not line[0].done:
                    return line[0]
                line.popleft()
        return None

    def pop_group(self, most: int, *, max_weight: float | None) -> list[Call]:
        """Take the next call and, of those of the same urgency and group behind it, as many as fit.

        Calls whose worker died while it ran them are taken one by one: the one that has ended it must not take the
        others along once more.

        Args:
            most: Most calls, at least 1.
            max_weight: Most weight of them together, none for no limit; the first fits always.
        """
        taken = self.pop(1)
        self.stopped_by = ""
        if not taken or taken[0].attempts:
            return taken
        first = taken[0]
        passed: list[Call] = []
        weight, group = first.weight or 1.0, first.group
        line = self._lines[first.urgency]
        while line and len(taken) < most and len(passed) < LOOK_AHEAD:
            call = line.popleft()
            if call.done:
                continue
            if call.group != group or call.attempts:
                self.stopped_by = "group"
                passed.append(call)
                if call.group == group:
                    break  # it is its turn next
                continue
            weight += call.weight or 1.0
            if max_weight is not None and weight > max_weight:
                self.stopped_by = "weight"
                passed.append(call)
                break
            taken.append(call)
        line.extendleft(reversed(passed))
        return taken

    def put_back(self, calls: Iterable[Call]) -> None:
        """Return calls to where they stood."""
        for urgency, line in self._by_urgency(calls).items():
            there = self._line(urgency)
            if not there or line[-1].arrival < there[0].arrival:
                there.extendleft(reversed(line))
            else:
                merged = sorted(chain(line, there), key=lambda call: call.arrival)
                there.clear()
                there.extend(merged)

    def take_all(self) -> list[Call]:
        """Take every call."""
        calls = list(self)
        for line in self._order:
            line.clear()
        return calls

    def pop_older(self, enqueued_before_s: float) -> list[Call]:
        """Take the calls that came before a moment; those at the head of their lines are the oldest."""
        found = []
        for line in self._order:
            while line and (line[0].done or line[0].enqueued_s < enqueued_before_s):
                call = line.popleft()
                if not call.done:
                    found.append(call)
        return found

    def forget_done(self) -> None:
        """Drop the calls that nobody waits for, bodies and all."""
        for line in self._order:
            kept = [call for call in line if not call.done]
            line.clear()
            line.extend(kept)

    def _line(self, urgency: int) -> deque[Call]:
        line = self._lines.get(urgency)
        if line is None:
            line = self._lines[urgency] = deque()
            self._order = [self._lines[key] for key in sorted(self._lines)]
        return line

    def _by_urgency(self, calls: Iterable[Call]) -> dict[int, list[Call]]:
        found: dict[int, list[Call]] = {}
        for call in sorted(calls, key=lambda call: call.arrival):
            found.setdefault(call.urgency, []).append(call)
        return found
