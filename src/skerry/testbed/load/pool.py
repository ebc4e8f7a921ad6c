"""The connections of a run: one for each request on its way, and none that waits for another."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable

from skerry.testbed.load.connection import Connection
from skerry.testbed.load.exchange import Exchange, Failure
from skerry.testbed.load.recorder import Recorder
from skerry.testbed.load.target import Target

_SWEEP_S = 0.02


class Pool:
    """Sends each request at once: on a free connection, or on one that it opens for it.

    Args:
        target: Where connections go.
        recorder: Is told the end of every request.
        most: Connections that may be open at a time; a request that would need another one is dropped.
    """

    def __init__(self, target: Target, recorder: Recorder, *, most: int) -> None:
        self._target = target
        self._recorder = recorder
        self._most = most
        # Called after the end of each request, with the request and the time; set before the first one.
        self.on_end: Callable[[Exchange, int], None] = _nobody
        self._loop = asyncio.get_running_loop()
        self._tls = ssl.create_default_context() if target.tls else None
        self._timeout_ns = round(target.timeout_s * 1e9)
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._waiting: deque[Exchange] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        # In the order of their ends, for all have the same time.
        self._timed: deque[Exchange] = deque()
        self._sweeper: asyncio.TimerHandle | None = None
        self.in_flight = 0
        self.opened_total = 0
        self._closing: asyncio.Event | None = None

    @property
    def size(self) -> int:
        """Connections that are open."""
        return len(self._all)

    async def open_ahead(self, count: int) -> None:
        """Open connections before the first request.

        Raises:
            OSError: the first one cannot be opened.
        """
        await self._connect()
        await asyncio.gather(*(self._connect() for _ in range(min(count, self._most) - 1)), return_exceptions=True)

    def submit(self, exchange: Exchange, now_ns: int) -> None:
        """Send a request now."""
        self.in_flight += 1
        self._timed.append(exchange)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        if self._free:
            self._free.pop().send(exchange, now_ns)
        elif len(self._all) + len(self._opening) < self._most or len(self._waiting) < len(self._opening):
            self._waiting.append(exchange)
            self._open_for_waiting()
        else:
            self.failed(exchange, Failure.NO_CONNECTION)

    def opened(self, connection: Connection) -> None:
        """Take a connection that is open now."""
        self.opened_total += 1
        self._all.add(connection)
        self._release(connection, time.monotonic_ns())

    def answered(
        self, connection: Connection | None, exchange: Exchange, status: int, body: bytes, now_ns: int
    ) -> None:
        """Note an answer; its connection, unless it ends, is free."""
        self._end(exchange)
        self._recorder.answered(exchange, status, body, now_ns)
        if connection is not None:
            self._release(connection, now_ns)
        self.on_end(exchange, now_ns)

    def failed(self, exchange: Exchange, failure: Failure) -> None:
        """Note that a request got no answer."""
        now_ns = time.monotonic_ns()
        self._end(exchange)
        self._recorder.failed(exchange, failure, now_ns)
        self.on_end(exchange, now_ns)

    def lost(self, connection: Connection, exchange: Exchange | None) -> None:
        """Forget a connection, and fail the request that was on it."""
        self._all.discard(connection)
        if self._closing is not None and not self._all:
            self._closing.set()
        if connection in self._free:
            self._free.remove(connection)
        if exchange is not None:
            self.failed(exchange, Failure.LOST)
        self._open_for_waiting()

    async def close(self) -> None:
        """Close every connection; requests that are on their way are not told of."""
        self._closing = asyncio.Event()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._waiting.clear()
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        self._free.clear()
        for connection in list(self._all):
            connection.abort()
        if self._all:
            await self._closing.wait()

    def _end(self, exchange: Exchange) -> None:
        exchange.ended = True
        exchange.connection = None
        self.in_flight -= 1

    def _release(self, connection: Connection, now_ns: int) -> None:
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.ended:
                connection.send(exchange, now_ns)
                return
        self._free.append(connection)

    def _open_for_waiting(self) -> None:
        while len(self._opening) < len(self._waiting) and len(self._all) + len(self._opening) < self._most:
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._stop_opening)

    def _stop_opening(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        # One that was opened may have gone to another request meanwhile.
        if self._closing is None:
            self._open_for_waiting()

    async def _open(self) -> None:
        try:
            await self._connect()
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError | FileNotFoundError)
            failure = Failure.REFUSED if refused else Failure.UNREACHABLE
            # It was opened for one of those that wait; the one that waits longest gives up.
            while self._waiting:
                exchange = self._waiting.popleft()
                if not exchange.ended:
                    self.failed(exchange, failure)
                    return

    async def _connect(self) -> None:
        target = self._target
        if target.socket is not None:
            await self._loop.create_unix_connection(lambda: Connection(self), str(target.socket))
        else:
            await self._loop.create_connection(lambda: Connection(self), target.host, target.port, ssl=self._tls)

    def _sweep(self) -> None:
        """End the requests whose time is over; called every 20 ms while there are any."""
        now_ns = time.monotonic_ns()
        timed = self._timed
        while timed and (timed[0].ended or timed[0].intended_ns + self._timeout_ns <= now_ns):
            exchange = timed.popleft()
            if exchange.ended:
                continue
            if exchange.connection is not None:
                # Its answer may still come, and would be taken for the next request's.
                exchange.connection.abort()
            self.failed(exchange, Failure.TIMEOUT)
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep) if timed else None


def _nobody(exchange: Exchange, now_ns: int) -> None:
    del exchange, now_ns
