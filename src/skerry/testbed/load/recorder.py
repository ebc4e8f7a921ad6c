"""What a run has seen so far: kept request by request, in memory that does not grow with their number."""

from __future__ import annotations

import json
from collections import Counter

from skerry.testbed.load.exchange import OWN_FAULTS, Exchange, Failure
from skerry.testbed.load.histogram import Histogram

# A request that is sent later than this after its moment is late; some are, on any machine.
LATE_NS = 5_000_000
# Kinds of problem of which one message is kept.
_MOST_CODES = 50


class Interval:
    """One stretch of the run; requests belong to the one in which they were to be sent, answers to where they came."""

    __slots__ = ("failed", "latency", "sent", "succeeded")

    def __init__(self) -> None:
        self.sent = 0
        # By the time of the answer.
        self.succeeded = 0
        self.failed = 0
        # Of the requests of the interval.
        self.latency = Histogram()


class Recorder:
    """Counts the ends of requests; those that were to be sent before the warm-up's end only in the intervals.

    Args:
        warm_up_ns: Length of the warm-up.
        interval_ns: Length of one interval.
    """

    def __init__(self, *, warm_up_ns: int, interval_ns: int) -> None:
        self._warm_up_ns = warm_up_ns
        self.start_ns = 0
        self.measured_from_ns = 0
        self.last_end_ns = 0
        self.interval_ns = interval_ns
        self.latency = Histogram()
        self.service = Histogram()
        self.lateness = Histogram()
        self.error_latency = Histogram()
        self.sent = 0
        self.succeeded = 0
        self.late = 0
        # Timed out before a connection took them.
        self.never_sent = 0
        self.warm_up_requests = 0
        self.statuses: Counter[int] = Counter()
        self.failures: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.messages: dict[str, str] = {}
        self.intervals: list[Interval] = []
        self.most_in_flight = 0
        # With those of the warm-up.
        self.sent_total = 0
        self.succeeded_total = 0
        self.ended_badly_total = 0
        self.warm_up_latency = Histogram()

    def start(self, start_ns: int) -> None:
        """Set when the run starts, by `time.monotonic_ns`; before the first request."""
        self.start_ns = self.last_end_ns = start_ns
        self.measured_from_ns = start_ns + self._warm_up_ns

    def sending(self, exchange: Exchange, now_ns: int) -> None:
        """Note that a connection takes a request."""
        late_ns = now_ns - exchange.intended_ns
        self.sent_total += 1
        self._interval(now_ns).sent += 1
        if exchange.intended_ns < self.measured_from_ns:
            self.warm_up_requests += 1
            return
        self.sent += 1
        self.lateness.add(late_ns)
        if late_ns > LATE_NS:
            self.late += 1

    def answered(self, exchange: Exchange, status: int, body: bytes, now_ns: int) -> None:
        """Note an answer of any status."""
        latency_ns = now_ns - exchange.intended_ns
        good = status < 400
        self.last_end_ns = now_ns
        interval = self._interval(now_ns)
        if good:
            interval.succeeded += 1
            self.succeeded_total += 1
            self._interval(exchange.intended_ns).latency.add(latency_ns)
        else:
            interval.failed += 1
            self.ended_badly_total += 1
        if exchange.intended_ns < self.measured_from_ns:
            if good:
                self.warm_up_latency.add(latency_ns)
            return
        self.statuses[status] += 1
        if good:
            self.succeeded += 1
            self.latency.add(latency_ns)
            self.service.add(now_ns - exchange.sent_ns)
        else:
            self.failures[f"status_{status // 100}xx"] += 1
            self.error_latency.add(latency_ns)
            self._note_problem(body)

    def failed(self, exchange: Exchange, failure: Failure, now_ns: int) -> None:
        """Note that a request got no answer."""
        self.last_end_ns = now_ns
        self._interval(now_ns).failed += 1
        self.ended_badly_total += 1
        if exchange.intended_ns < self.measured_from_ns:
            return
        self.failures[failure.value] += 1
        if failure is Failure.TIMEOUT and not exchange.sent_ns:
            self.never_sent += 1
        if failure not in OWN_FAULTS:
            self.error_latency.add(now_ns - exchange.intended_ns)

    @property
    def failed_total(self) -> int:
        """Requests after the warm-up that have ended without a good answer."""
        return self.failures.total()

    def _interval(self, at_ns: int) -> Interval:
        index = (at_ns - self.start_ns) // self.interval_ns
        intervals = self.intervals
        while len(intervals) <= index:
            intervals.append(Interval())
        return intervals[index]

    def _note_problem(self, body: bytes) -> None:
        try:
            problem = json.loads(body)
        except ValueError:
            return
        code = problem.get("code") if isinstance(problem, dict) else None
        if not isinstance(code, str) or (code not in self.codes and len(self.codes) >= _MOST_CODES):
            return
        self.codes[code] += 1
        self.messages.setdefault(code, str(problem.get("detail", ""))[:200])
