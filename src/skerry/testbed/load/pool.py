"""The connections of a run: one for each request on its way, and none that waits for another."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import deque
from collections.abc import Callable

from skerry.platforms.http.secure import client_context
from skerry.testbed.load.connection import Connection
from skerry.testbed.load.exchange import Exchange, Failure
from skerry.testbed.load.recorder import Recorder
from skerry.testbed.load.target import Target

_SWEEP_S = 0.02
# Connections that are being opened at a time. Opening takes the generator longer than sending, and a stall of a moment
# asks for hundreds: without a bound it would be busy with connections that nobody needs by the time they are there.
_MOST_OPENING = 32
_CLOSING_S = 1.0


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
        self._tls = client_context(target.certificate) if target.tls else None
        self._address = target.host
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
        target = self._target
        if target.socket is None:
            # Looked up once: for each connection, it would be work for a thread.
            found = await self._loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            await self._connect_first([str(address[0]) for *_, address in found])
        else:
            await self._connect()
        await asyncio.gather(*(self._connect() for _ in range(min(count, self._most) - 1)), return_exceptions=True)

    def submit(self, exchange: Exchange, now_ns: int) -> None:
        """Send a request now."""
        self.in_flight += 1
        self._timed.append(exchange)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)
        if self._free:
            self._send(self._free.pop(), exchange, now_ns)
        elif len(self._all) + max(len(self._opening), len(self._waiting)) < self._most:
            self._waiting.append(exchange)
            self._open_for_waiting()
        else:
            self.failed(exchange, Failure.NO_CONNECTION)

    def opened(self, connection: Connection) -> None:
        """Take a connection that is open now."""
        if self._closing is not None:
            connection.abort()
            return
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
        if connection in self._free:
            self._free.remove(connection)
        if exchange is not None:
            self.failed(exchange, Failure.LOST)
        if self._closing is None:
            self._open_for_waiting()
        elif not self._all:
            self._closing.set()

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
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _CLOSING_S)

    def _send(self, connection: Connection, exchange: Exchange, now_ns: int) -> None:
        self._recorder.sending(exchange, now_ns)
        connection.send(exchange, now_ns)

    def _end(self, exchange: Exchange) -> None:
        exchange.ended = True
        exchange.connection = None
        self.in_flight -= 1

    def _release(self, connection: Connection, now_ns: int) -> None:
        while self._waiting:
            exchange = self._waiting.popleft()
            if not exchange.ended:
                self._send(connection, exchange, now_ns)
                return
        self._free.append(connection)

    def _open_for_waiting(self) -> None:
        wanted = min(len(self._waiting), _MOST_OPENING)
        while len(self._opening) < wanted and len(self._all) + len(self._opening) < self._most:
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
        target, connection = self._target, Connection(self)
        try:
            if target.socket is not None:
                await self._loop.create_unix_connection(lambda: connection, str(target.socket))
            else:
                await self._loop.create_connection(
                    lambda: connection,
                    self._address,
                    target.port,
                    ssl=self._tls,
                    server_hostname=target.host if target.tls else None,
                )
        except asyncio.CancelledError:
            # One that was open already is closed by the loop without a word to it.
            self._all.discard(connection)
            raise

    async def _connect_first(self, addresses: list[str]) -> None:
        for address in addresses:
            self._address = address
            try:
                await self._connect()
            except OSError:
                if address == addresses[-1]:
                    raise
            else:
                return

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
