"""The two ways of asking: by a plan that nothing delays, and by clients that wait for their answers."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from skerry.testbed.load.alarm import Alarm
from skerry.testbed.load.exchange import Exchange, Failure
from skerry.testbed.load.plan import ArrivalPlan, ClientPlan
from skerry.testbed.load.pool import Pool
from skerry.testbed.load.recorder import Recorder

# Requests that are sent before the event loop looks for answers again. What comes meanwhile is read late, by some 10 µs
# for each.
_MOST_AT_ONCE = 16


class Loop(ABC):
    """Hands requests to a pool at their times.

    Args:
        recorder: Is told of each.
        start_ns: When the run starts, by `time.monotonic_ns`.
    """

    def __init__(self, recorder: Recorder, start_ns: int) -> None:
        self._recorder = recorder
        self._start_ns = start_ns
        self._pool: Pool | None = None
        self._alarm = Alarm(asyncio.get_running_loop(), self._ring)
        self._all_sent = asyncio.Event()
        self._all_ended = asyncio.Event()

    async def run(self, pool: Pool) -> None:
        """Send every request and wait for the last answer."""
        self._pool = pool
        try:
            self._ring()
            await self._all_sent.wait()
            if pool.in_flight:
                await self._all_ended.wait()
        finally:
            self._alarm.close()

    @abstractmethod
    def ended(self, exchange: Exchange, now_ns: int) -> None:
        """Hear of the end of a request."""

    @abstractmethod
    def _ring(self) -> None:
        """Do what is due, and set the alarm for what comes next."""

    def _submit(self, exchange: Exchange, now_ns: int) -> None:
        pool = self._pool
        if pool is not None:
            pool.submit(exchange, now_ns)
            self._recorder.most_in_flight = max(self._recorder.most_in_flight, pool.in_flight)

    def _look_for_end(self) -> None:
        if self._all_sent.is_set() and self._pool is not None and not self._pool.in_flight:
            self._all_ended.set()


class OpenLoop(Loop):
    """Sends by the plan, whatever the answers do.

    Args:
        plan: When.
        requests: The bytes of each request, or one for all.
        recorder: Is told of each.
        start_ns: When the run starts.
        most_late_ns: A request that the generator could not take up within this time is dropped, and counted as such.
    """

    def __init__(
        self, plan: ArrivalPlan, requests: Sequence[bytes], recorder: Recorder, start_ns: int, most_late_ns: int
    ) -> None:
        super().__init__(recorder, start_ns)
        self._offsets_ns = plan.offsets_ns
        self._count = len(plan.offsets_ns)
        self._requests = requests
        self._one = requests[0] if len(requests) == 1 else None
        self._most_late_ns = most_late_ns
        self._next = 0
        self._due_ns = start_ns + plan.offsets_ns[0]
        self._sending = False

    def ended(self, exchange: Exchange, now_ns: int) -> None:
        """Send what has become due: the process is awake, and a connection has become free."""
        if self._due_ns <= now_ns and not self._sending:
            self._send_due(now_ns)
        if self._next >= self._count:
            self._look_for_end()

    def _ring(self) -> None:
        self._send_due(time.monotonic_ns())
        if self._next < self._count:
            self._alarm.set(self._due_ns)
        else:
            self._alarm.stop()
            self._all_sent.set()
            self._look_for_end()

    def _send_due(self, now_ns: int) -> None:
        # A request that fails at once is an end, from which this would be called again.
        self._sending = True
        last = min(self._count, self._next + _MOST_AT_ONCE)
        while self._next < last and self._due_ns <= now_ns:
            request = self._one if self._one is not None else self._requests[self._next % len(self._requests)]
            exchange = Exchange(self._due_ns, request)
            self._next += 1
            if self._next < self._count:
                self._due_ns = self._start_ns + self._offsets_ns[self._next]
            if now_ns - exchange.intended_ns > self._most_late_ns:
                self._recorder.failed(exchange, Failure.DROPPED, now_ns)
            else:
                self._submit(exchange, now_ns)
            now_ns = time.monotonic_ns()
        self._sending = False


class ClosedLoop(Loop):
    """Each client sends its next request when it has the answer to the one before.

    Args:
        plan: How many clients, and for how long.
        request: The bytes of every request.
        recorder: Is told of each.
        start_ns: When the run starts.
    """

    def __init__(self, plan: ClientPlan, request: bytes, recorder: Recorder, start_ns: int) -> None:
        super().__init__(recorder, start_ns)
        self._request = request
        self._think_s = plan.think_s
        self._clients = plan.clients
        self._end_ns = start_ns + round(plan.duration_s * 1e9)
        self._started = False

    def ended(self, exchange: Exchange, now_ns: int) -> None:
        """Let the client think, then send again."""
        del exchange
        if self._all_sent.is_set():
            self._look_for_end()
            return
        loop = asyncio.get_running_loop()
        # A request that failed at once would be sent again within its own call, and so on without end.
        if self._think_s > 0:
            loop.call_later(self._think_s, self._send)
        else:
            loop.call_soon(self._send)

    def _send(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._end_ns and not self._all_sent.is_set():
            self._submit(Exchange(now_ns, self._request), now_ns)

    def _ring(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns < self._start_ns:
            self._alarm.set(self._start_ns)
        elif not self._started:
            self._started = True
            self._alarm.set(self._end_ns)
            for _ in range(self._clients):
                self._send()
        elif now_ns >= self._end_ns:
            self._alarm.stop()
            self._all_sent.set()
            self._look_for_end()
        else:
            self._alarm.set(self._end_ns)
