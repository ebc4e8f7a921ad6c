"""The calls that wait for a worker, in the order in which they are served: by urgency, then by arrival.

Of one urgency, those that are late whatever is done (`set_aside`) come after those that can still be in time. Where
more comes than can be served, first come first served would make all of them late by the same backlog; this way late
are those that are too many. A late call has its turn when nothing else waits, and when enough others have passed it by.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

from skerry.runtime.call import Call

LOOK_AHEAD = 256  # calls that are looked at for those of one group
LATE_TURN = 16  # calls that pass by the oldest late one before it is its turn all the same


class WaitingLine:
    """One lane for each urgency; most functions only ever use one.

    It may hold calls that are done, such as those whose callers have left: they are skipped, and `forget_done` drops
    them.
    """

    def __init__(self) -> None:
        self.late_total = 0  # calls that were set aside so far; not those that came back when they were late already
        self.stopped_by = ""  # what kept calls out of the group that was taken last: "weight", "group" or nothing
        self._lanes: dict[int, _Lane] = {}
        self._order: list[_Lane] = []  # the most urgent first

    def __len__(self) -> int:
        return sum(len(lane.in_time) + len(lane.late) for lane in self._order)

    def __iter__(self) -> Iterator[Call]:
        return chain.from_iterable(chain(lane.in_time, lane.late) for lane in self._order)

    def push(self, call: Call) -> None:
        """Add a call behind those of its urgency."""
        lane = self._lanes.get(call.urgency)
        if lane is None:
            lane = self._lane(call.urgency)
        lane.in_time.append(call)

    def set_aside(self, enqueued_before_s: float) -> None:
        """Let the calls that came before a moment wait behind others of their urgency: they are late in any case."""
        for lane in self._order:
            line, late = lane.in_time, lane.late
            while late and late[0].done:
                late.popleft()
            while line and line[0].enqueued_s < enqueued_before_s:
                call = line.popleft()
                if not call.done:
                    if not late:
                        lane.passed_by = 0
                    lane.late_through = call.arrival
                    late.append(call)
                    self.late_total += 1

    def pop(self, most: int) -> list[Call]:
        """Take the next calls that still wait for their answers, at most so many."""
        calls: list[Call] = []
        for lane in self._order:
            while len(calls) < most and (line := lane.next_line()):
                call = line.popleft()
                if not call.done:
                    lane.passed_by = 0 if line is lane.late else lane.passed_by + 1
                    calls.append(call)
        return calls

    def head(self) -> Call | None:
        """Return the next call that still waits for its answer and leave it where it is.

        A late call that has its turn before others is not what the rest of a group is measured by: it is not the head.
        """
        for lane in self._order:
            for line in (lane.in_time, lane.late):
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
        passed: list[tuple[deque[Call], Call]] = []
        weight, group = first.weight or 1.0, first.group
        lane = self._lanes[first.urgency]
        in_time, late = lane.in_time, lane.late
        oldest_late = late[0] if late else None
        while len(taken) < most and len(passed) < LOOK_AHEAD and (line := in_time or late):
            call = line.popleft()
            if call.done:
                continue
            if call.group != group or call.attempts:
                self.stopped_by = "group"
                passed.append((line, call))
                if call.group == group:
                    break  # it is its turn next
                continue
            weight += call.weight or 1.0
            if max_weight is not None and weight > max_weight:
                self.stopped_by = "weight"
                passed.append((line, call))
                break
            taken.append(call)
        for line, call in reversed(passed):
            line.appendleft(call)
        if oldest_late is not None:
            if late and late[0] is oldest_late:
                lane.passed_by += sum(call.arrival > lane.late_through for call in taken[1:])
            else:
                lane.passed_by = 0
        return taken

    def put_back(self, calls: Iterable[Call]) -> None:
        """Return calls to where they stood."""
        back: dict[int, list[Call]] = {}
        for call in sorted(calls, key=lambda call: call.arrival):
            back.setdefault(call.urgency, []).append(call)
        for urgency, those in back.items():
            self._lane(urgency).put_back(those)

    def take_all(self) -> list[Call]:
        """Take every call."""
        calls = list(self)
        for lane in self._order:
            lane.in_time.clear()
            lane.late.clear()
        return calls

    def pop_older(self, enqueued_before_s: float) -> list[Call]:
        """Take the calls that came before a moment; those at the head of their lines are the oldest."""
        found = []
        for lane in self._order:
            for line in (lane.late, lane.in_time):
                while line and (line[0].done or line[0].enqueued_s < enqueued_before_s):
                    call = line.popleft()
                    if not call.done:
                        found.append(call)
        return found

    def forget_done(self) -> None:
        """Drop the calls that nobody waits for, bodies and all."""
        for lane in self._order:
            for line in (lane.in_time, lane.late):
                kept = [call for call in line if not call.done]
                line.clear()
                line.extend(kept)

    @property
    def late(self) -> int:
        """Calls that were set aside and still wait."""
        return sum(not call.done for lane in self._order for call in lane.late)

    def _lane(self, urgency: int) -> _Lane:
        lane = self._lanes.get(urgency)
        if lane is None:
            lane = self._lanes[urgency] = _Lane()
            self._order = [self._lanes[key] for key in sorted(self._lanes)]
        return lane


class _Lane:
    """The calls of one urgency. Each line is in the order of arrival, and all late calls came before the others."""

    __slots__ = ("in_time", "late", "late_through", "passed_by")

    def __init__(self) -> None:
        self.in_time: deque[Call] = deque()
        self.late: deque[Call] = deque()
        self.late_through = 0  # the last arrival that was late; those before it are late as well
        self.passed_by = 0  # calls in time that were taken while the oldest late one had to wait

    def next_line(self) -> deque[Call]:
        """Return the line whose turn it is; an empty one where nothing waits."""
        if self.late and (self.passed_by >= LATE_TURN or not self.in_time):
            return self.late
        return self.in_time

    def put_back(self, calls: list[Call]) -> None:
        """Return calls, in the order of their arrival, to their places."""
        until = bisect_right(calls, self.late_through, key=lambda call: call.arrival)
        for there, those in ((self.late, calls[:until]), (self.in_time, calls[until:])):
            if not there or not those or those[-1].arrival < there[0].arrival:
                there.extendleft(reversed(those))
            else:
                merged = sorted(chain(those, there), key=lambda call: call.arrival)
                there.clear()
                there.extend(merged)
