"""One HTTP/1.1 connection of the front: a raw protocol over httptools, with keep-alive, pipelining and size limits.

A connection turns bytes into exchanges and answers into bytes, in the order in which the requests came; it knows
nothing of functions. Writes go through the transport, which sends once per turn of the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol

import httptools

from skerry.errors import BodyTooLargeError, MalformedBodyError, SkerryError
from skerry.runtime.message import Response

MAX_HEAD_BYTES = 64 * 1024
MAX_PIPELINED = 128
HEAD_TIMEOUT_S = 30.0  # for the rest of a request's head, once it has begun
IDLE_TIMEOUT_S = 300.0


class Exchange:
    """One request on a connection and, later, its answer."""

    __slots__ = (
        "answer",
        "body",
        "cancel",
        "connection",
        "entry",
        "handled",
        "headers",
        "keep_alive",
        "method",
        "size",
        "target",
    )

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.target = b""
        self.method = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.size = 0
        self.keep_alive = True
        self.handled = False  # a request that was refused by its head is not handled again at its end
        self.entry: Any = None  # the function's, found once the head is there
        self.answer: bytes | None = None
        self.cancel: Any = None  # called without arguments when the client leaves before the answer

    def reply(self, response: Response) -> None:
        """Answer the request."""
        self.reply_bytes(response.encode(keep_alive=self.keep_alive, with_body=self.method != b"HEAD"))

    def reply_bytes(self, answer: bytes) -> None:
        """Answer the request with an encoded response."""
        self.cancel = None
        self.answer = answer
        self.connection.flush()


class Service(Protocol):
    """What a connection hands its requests to."""

    def accept(self, exchange: Exchange) -> int:
        """Look at a request's head; return the most bytes its body may have. May raise `SkerryError` to refuse."""

    def handle(self, exchange: Exchange) -> None:
        """Take a whole request; `Exchange.reply` is called for it sooner or later."""

    connections: set[Connection]


class Connection(asyncio.Protocol):
    """The protocol of one client's connection.

    Args:
        service: Where requests go.
        trusted: Whether the connection came over the Unix socket.
    """

    def __init__(self, service: Service, *, trusted: bool) -> None:
        self.trusted = trusted
        self.closed = asyncio.Event()
        self._service = service
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._pending: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._limit_bytes = 0
        self._head_bytes = 0
        self._closing = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._service.connections.add(self)
        self._arm(IDLE_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: tell whoever still works for it."""
        self._service.connections.discard(self)
        self.closed.set()
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for exchange in self._pending:
            cancel, exchange.cancel = exchange.cancel, None
            if cancel is not None:
                cancel()
        self._pending.clear()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._closing:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(MalformedBodyError("protocol upgrades are not supported"))
        except httptools.HttpParserError as error:
            reason = error.__context__ if isinstance(error.__context__, SkerryError) else None
            if not self._closing:
                self._refuse(reason or MalformedBodyError(f"not an HTTP/1.1 request: {error}"))
        if self._current is not None and not self._closing:
            self._arm(HEAD_TIMEOUT_S)

    def eof_received(self) -> bool:
        """The client has sent all it wants to; answers that are due are still sent."""
        if self._pending:
            self._pending[-1].keep_alive = False
            return True
        return False

    def pause_writing(self) -> None:
        """The client does not read: take no more from it."""
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._paused = False
        self._transport.resume_reading()

    # httptools' side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._current = Exchange(self)
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if self._current is not None:
            self._current.target += url
            self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if self._current is not None:
            self._current.headers.append((name.lower(), value))
            self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body is wanted."""
        exchange = self._current
        if exchange is None:
            return
        exchange.method = self._parser.get_method()
        exchange.keep_alive = self._parser.should_keep_alive()
        self._pending.append(exchange)
        try:
            self._limit_bytes = self._service.accept(exchange)
            self._check_length(exchange)
        except SkerryError as error:
            exchange.handled = True
            exchange.keep_alive = False  # the body is not read
            exchange.reply(Response.of_error(error))
            return
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in exchange.headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        exchange = self._current
        if exchange is None or exchange.handled:
            return
        exchange.size += len(piece)
        if exchange.size > self._limit_bytes:
            exchange.handled = True
            exchange.keep_alive = False
            exchange.reply(Response.of_error(_too_large(self._limit_bytes)))
            return
        exchange.body.append(piece)

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange, self._current = self._current, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if exchange is None or exchange.handled or self._closing:
            return
        exchange.handled = True
        if len(self._pending) >= MAX_PIPELINED and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._service.handle(exchange)

    # Answers

    def flush(self) -> None:
        """Send the answers that are due, in the order of their requests."""
        pending = self._pending
        while pending and pending[0].answer is not None:
            exchange = pending.popleft()
            if self._transport is None or self._transport.is_closing():
                continue
            self._transport.write(exchange.answer)
            if not exchange.keep_alive:
                self._closing = True
                self._transport.close()
                return
        if not pending:
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            if self._current is None and not self._closing:
                self._arm(IDLE_TIMEOUT_S)

    def finish(self) -> None:
        """Close the connection once the answers that are due have been sent."""
        if self._pending:
            self._pending[-1].keep_alive = False
        elif self._transport is not None:
            self._closing = True
            self._transport.close()

    def _check_length(self, exchange: Exchange) -> None:
        for name, value in exchange.headers:
            if name == b"content-length" and value.isdigit() and int(value) > self._limit_bytes:
                raise _too_large(self._limit_bytes)

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > MAX_HEAD_BYTES:
            raise MalformedBodyError(f"the request's head is larger than {MAX_HEAD_BYTES} bytes")

    def _refuse(self, error: SkerryError) -> None:
        exchange = Exchange(self)
        exchange.keep_alive = False
        if self._current is not None and self._current in self._pending:
            self._pending.remove(self._current)
        self._current = None
        self._pending.append(exchange)
        exchange.reply(Response.of_error(error))

    def _arm(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        if self._current is not None or not self._pending:
            self._closing = True
            self._transport.close()


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is larger than {limit_bytes} bytes; raise max_body, or send less")
