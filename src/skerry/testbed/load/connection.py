"""One keep-alive connection of the generator, with at most one request on its way."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import httptools

from skerry.testbed.load.exchange import Exchange, Failure

if TYPE_CHECKING:
    from skerry.testbed.load.pool import Pool

# Of the body of an answer that is an error, this much is kept to read the problem from.
_PROBLEM_BYTES: Final = 4096
_FIRST_ERROR: Final = 400


class Connection(asyncio.Protocol):
    """Sends requests one after the other, and hands their answers to the pool.

    Args:
        pool: Is told when the connection is open, free again, or lost.
    """

    __slots__ = ("_answered", "_body", "_exchange", "_parser", "_pool", "_status", "_stays", "_transport")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._body = b""
        self._answered = False
        self._stays = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open connection."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport is always an asyncio.Transport
        self._pool.opened(self)

    def send(self, exchange: Exchange, now_ns: int) -> None:
        """Send a request; the connection must be free."""
        self._exchange = exchange
        exchange.connection = self
        exchange.sent_ns = now_ns
        self._transport.write(exchange.request)  # type: ignore[union-attr]  # it is open, or the pool would not use it

    def data_received(self, data: bytes) -> None:
        """Read what came; the end of an answer frees the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._give_up(Failure.BAD_ANSWER)
            return
        if self._answered:
            self._finish()

    def on_headers_complete(self) -> None:
        """Note the status (called by the parser)."""
        self._status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Keep the body of an error (called by the parser)."""
        if self._status >= _FIRST_ERROR and len(self._body) < _PROBLEM_BYTES:
            self._body += data

    def on_message_complete(self) -> None:
        """Note that the answer is whole (called by the parser); one below 200 only announces another."""
        self._answered = self._status >= 200
        # The parser knows it here only: afterwards it waits for the next answer.
        self._stays = self._parser.should_keep_alive()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool; a request that waits for its answer has failed."""
        exchange, self._exchange = self._exchange, None
        self._pool.lost(self, exchange)

    def abort(self) -> None:
        """Close at once, without telling of the request that may be on its way."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def _finish(self) -> None:
        now_ns = time.monotonic_ns()
        exchange, self._exchange = self._exchange, None
        status, body, self._body, self._answered = self._status, self._body, b"", False
        stays = self._stays
        if exchange is None:
            # An answer that nobody asked for: what comes next on this connection cannot be trusted.
            self.abort()
            return
        if not stays:
            self.abort()
        self._pool.answered(self if stays else None, exchange, status, body, now_ns)

    def _give_up(self, failure: Failure) -> None:
        exchange = self._exchange
        self.abort()
        if exchange is not None:
            self._pool.failed(exchange, failure)
