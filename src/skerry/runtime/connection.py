"""One HTTP/1.1 connection of the front: a raw protocol over httptools, with keep-alive, pipelining and size limits.

A connection turns bytes into exchanges and answers into bytes, in the order in which the requests came; it knows
nothing of functions. Writes go through the transport, which sends once per turn of the loop.

Clients that keep a connection send the same head again and again. A head that is byte by byte one that was parsed
before is not parsed once more (`KnownHead`): most of a small request's cost was that.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

import httptools

from skerry.errors import BodyTooLargeError, MalformedBodyError, SkerryError, UnavailableError
from skerry.runtime.exchange import Exchange
from skerry.runtime.known_heads import TRACEPARENT, KnownHead, KnownHeads, find_traced, learn
from skerry.runtime.lazy_timer import LazyTimer
from skerry.runtime.message import Response

if TYPE_CHECKING:
    from skerry.runtime.room import Room

MAX_HEAD_BYTES = 64 * 1024  # of a head, and of what follows one without being its body, besides the read it ends in
MAX_PIPELINED = 128
HEAD_TIMEOUT_S = 30.0  # for a request's head, once it has begun, and for each further piece of its body
IDLE_TIMEOUT_S = 300.0
STRANGER_TIMEOUT_S = 15.0  # for the first request with the token, where one is needed
LINGER_S = 2.0  # after a refusal: closing at once would reset the connection under a client that still sends


class Service(Protocol):
    """What a connection hands its requests to."""

    def accept(self, exchange: Exchange) -> int:
        """Look at a request's head; return the most bytes its body may have. May raise `SkerryError` to refuse."""

    def handle(self, exchange: Exchange) -> None:
        """Take a whole request; `Exchange.reply` is called for it sooner or later."""

    connections: set[Connection]
    heads: dict[bool, KnownHeads]  # by whether connections are trusted; the service clears them


class Connection(asyncio.Protocol):
    """The protocol of one client's connection.

    Args:
        service: Where requests go.
        trusted: Whether the connection came over the Unix socket.
        public: Whether it came from other machines, over TLS: everything wants the token then, so that nothing that is
            known of heads from elsewhere may count.
        room: Says whether there is room for it; none where that is known.
        stranger: Whether its client has to show the token: one that has not done so gets no time beyond the first.
    """

    def __init__(
        self,
        service: Service,
        *,
        trusted: bool,
        public: bool = False,
        room: Room | None = None,
        stranger: bool = False,
    ) -> None:
        self.trusted = trusted
        self.public = public
        self.stranger = stranger
        self.closed = asyncio.Event()
        self._service = service
        self._room = room
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._pending: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._limit_bytes = 0
        self._pieces: bytearray | None = None  # the body, where it comes in several
        self._head_bytes = 0  # read since the request began, or since the last piece of its body
        self._unsent_bytes = 0  # what the client had not taken yet when the timer last went off
        self._closing = False  # nothing more is read
        self._parting = False  # the next answer that begins is the last one
        self._refused = False  # a request was refused by its head: its client may send on for a while
        self._crowded = False  # reading pauses: too many requests wait for their answers
        self._clogged = False  # reading pauses: the client does not take its answers
        self._upgrading: Exchange | None = None
        self._timer = LazyTimer(self._timed_out)
        self._heads: KnownHeads = {} if public else service.heads[trusted]
        self._was_used = False  # there was a request since the timer was set
        self._begun = 0  # requests that the parser has begun
        self._learning: Exchange | None = None  # the last whole one, if its head may be kept
        self._last: KnownHead | None = None  # the head of the last request, where it is known
        self._spare: Exchange | None = None  # the last one that was answered, if it can be the next one

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport
        self._service.connections.add(self)
        self._arm(STRANGER_TIMEOUT_S if self.stranger else IDLE_TIMEOUT_S)
        if self._room is not None:
            self._look_for_room(self._room)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left: tell whoever still works for it."""
        self._service.connections.discard(self)
        self.closed.set()
        self._closing = True
        self._timer.cancel()
        # Else what has come of a body is there until the collector of cycles comes.
        self._current = self._pieces = self._spare = None
        pending, self._pending = self._pending, deque()
        for exchange in pending:
            exchange.leave()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client."""
        if self._closing:
            return
        if self._current is None:
            head = self._last
            if head is None or len(data) != head.whole_bytes or not data.startswith(head.text):
                head = self._heads.get(data[: data.find(b"\r\n\r\n") + 4])
            if head is not None and len(data) == head.whole_bytes and not self._pending:
                # One whole request with a known head, as nearly all are; `_take_known` has all cases.
                self._last = head
                exchange, self._spare = self._spare, None
                if exchange is None or exchange.head is not head:
                    exchange = Exchange(self, head)
                else:
                    exchange.reuse()
                exchange.body = data[len(head.text) :]
                self._pending.append(exchange)
                self._service.handle(exchange)
                return
            data = self._take_known(data)
            if not data:
                return
        if self._current is None:
            self._read_and_learn(data)
        else:
            self._read(data)
            self._learning = None  # what came in several reads is not learnt, and its body not kept for that

    def _look_for_room(self, room: Room) -> None:
        """Turn the client away where there are too many: with an answer, unless there are far too many."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        if room.takes(descriptor):
            return
        if room.can_answer(descriptor):
            self._refuse(UnavailableError("too many connections are open here; close some, or come back later"))
        else:
            self._closing = True
            self._transport.abort()

    def _take_known(self, data: bytes) -> bytes:
        """Take the requests at the beginning whose heads are known; return the rest."""
        heads, pending, handle = self._heads, self._pending, self._service.handle
        at, end = 0, len(data)
        while at < end:
            body_at = data.find(b"\r\n\r\n", at) + 4
            head, traceparent = heads.get(data[at:body_at]), b""
            if head is None and data.find(TRACEPARENT, at, body_at) > 0:
                head, traceparent = find_traced(heads, data[at:body_at])
            if head is None or body_at + head.length > end or (pending and not self._is_open()):
                break
            exchange = Exchange(self, head)
            if traceparent:
                head.trace(exchange, traceparent)
            at = body_at + head.length
            exchange.body = data[body_at:at]
            pending.append(exchange)
            handle(exchange)
        return data[at:] if at else data

    def _is_open(self) -> bool:
        """Whether one more request may be begun, as the parser would judge."""
        pending = self._pending
        if self._closing:
            return False
        return not pending or (len(pending) < MAX_PIPELINED and pending[-1].keep_alive)

    def _read_and_learn(self, data: bytes) -> None:
        """Parse, and keep the head if the data were exactly one plain request to a function."""
        before = self._begun
        self._learning = None
        body_at = data.find(b"\r\n\r\n") + 4
        self._read(data)
        exchange = self._take_learnt()
        at_end = self._begun == before + 1 and self._current is None and not self._closing
        if exchange is None or not at_end:
            return
        learn(self._heads, data, body_at, exchange)

    def _take_learnt(self) -> Exchange | None:
        exchange, self._learning = self._learning, None
        return exchange

    def _read(self, data: bytes) -> None:
        """Parse what is no known request."""
        begun = self._current
        size = 0 if begun is None else begun.size
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._decline_upgrades(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            reason = error.__context__ if isinstance(error.__context__, SkerryError) else None
            self._refuse(reason or MalformedBodyError(f"not an HTTP/1.1 request: {error}"))
        current = self._current
        if current is None or self._closing:
            return
        if current.method or current is not begun:
            self._await_more()
        if current is not begun or current.size != size:
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_long_tail() if current.method else _long_head())

    def eof_received(self) -> bool:
        """The client has left: what it asked for is not wanted any more, and the transport closes.

        HTTP allows a client to close its half once it has asked; as with other servers, that counts as leaving, because
        nothing else tells of a client that has gone.
        """
        return False

    def pause_writing(self) -> None:
        """The client does not read: take no more from it."""
        self._clogged = True
        self._read_or_pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._clogged = False
        self._read_or_pause()
        if self._pending and self._pending[0].streaming:
            self._pending[0].taken()

    # httptools' side

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun += 1
        self._pieces = None
        self._current = None if self._closing or self._has_last() else Exchange(self)
        if self._current is not None:
            self._current.headers = []

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if self._current is not None:
            self._current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; what follows a body in pieces is not listened to."""
        if self._current is not None and not self._current.method:
            self._current.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body is wanted."""
        exchange = self._current
        if exchange is None:
            return
        if self._parser.should_upgrade():
            self._upgrading, self._current = exchange, None
            return
        if sum(len(name) + len(value) for name, value in exchange.headers) + len(exchange.target) > MAX_HEAD_BYTES:
            raise _long_head()
        exchange.method = self._parser.get_method()
        if exchange.target[:7].lower() == b"http://" or exchange.target[:8].lower() == b"https://":
            exchange.use_origin_form()
        # A client of HTTP/1.0 would want to be told that the connection stays open: it does not.
        exchange.chunked = self._parser.get_http_version() != "1.0"
        exchange.keep_alive = self._parser.should_keep_alive() and exchange.chunked and not self._parting
        self._pending.append(exchange)
        try:
            self._limit_bytes = self._service.accept(exchange)
            self._check_length(exchange)
        except SkerryError as error:
            self._answer_early(exchange, error)
            return
        exchange.expects = any(n == b"expect" and v.lower() == b"100-continue" for n, v in exchange.headers)
        self._encourage()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        exchange = self._current
        if exchange is None or exchange.handled:
            return
        exchange.expects = False
        exchange.size += len(piece)
        if exchange.size > self._limit_bytes:
            self._answer_early(exchange, _too_large(self._limit_bytes))
        elif exchange.intake is not None:
            self._hand_on(exchange, piece)
        elif not exchange.body:
            exchange.body = piece
        elif self._pieces is None:
            self._pieces = bytearray(exchange.body) + piece
        else:
            self._pieces += piece

    def _hand_on(self, exchange: Exchange, piece: bytes) -> None:
        """Give a piece of a body to what takes it as it comes."""
        try:
            if exchange.intake is not None:
                exchange.intake.write(piece)
        except SkerryError as error:
            self._answer_early(exchange, error)

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange, self._current = self._current, None
        if exchange is None or exchange.handled or self._closing:
            return
        self._timer.rest()
        exchange.handled = True
        exchange.expects = False
        if self._pieces is not None:
            exchange.body, self._pieces = bytes(self._pieces), None
        if len(self._pending) >= MAX_PIPELINED:
            self._crowded = True
            self._read_or_pause()
        if exchange.keep_alive and exchange.entry is not None and exchange.has_length:
            self._learning = exchange
        self._service.handle(exchange)

    # Answers

    def send(self, exchange: Exchange, answer: bytes) -> None:
        """Send the whole answer to a request, once those before it have been sent; the connection stays open."""
        pending = self._pending
        if len(pending) == 1 and pending[0] is exchange and not self._crowded:
            pending.popleft()
            transport = self._transport
            if not transport.is_closing():
                transport.write(answer)
            self._was_used = True
            if exchange.is_reusable:
                exchange.body = b""  # however long the client keeps the connection
                self._spare = exchange
            if self._timer.due_s == math.inf and self._current is None and not self._closing:
                self._arm(IDLE_TIMEOUT_S)
            return
        exchange.answer = answer
        self.flush()

    def flush(self) -> None:
        """Send the answers that are due, in the order of their requests."""
        pending = self._pending
        while pending:
            exchange = pending[0]
            if exchange.answer is None:
                if exchange is self._current:  # it has no answer before the rest of it has been read
                    self._relieve()
                self._encourage()
                return
            answer, exchange.answer = exchange.answer, None
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(answer)
            if not exchange.complete:
                if not self._clogged:
                    exchange.taken()
                return
            pending.popleft()
            if exchange.broken and not exchange.chunked:
                self._reset()
                return
            if not exchange.keep_alive:
                unread = exchange is self._current or not exchange.method or self._refused
                self._close(linger=unread or (self._parting and exchange.chunked))
                return
        self._relieve()
        if self._current is None and not self._closing:
            self._arm(IDLE_TIMEOUT_S)

    def forget(self) -> None:
        """Keep nothing of requests that have been answered: what they were for may be gone."""
        self._last = self._spare = None

    def part(self) -> None:
        """Say ``Connection: close`` with the next answer that begins, and close after it."""
        self._parting = True
        self.forget()
        self._heads = {}  # all further requests are parsed, and none is learnt
        last = self._pending[-1] if self._pending else None
        if last is not None and last.answer is None and last.complete:  # its answer has not begun
            last.keep_alive = False

    def _has_last(self) -> bool:
        """Whether nothing is answered any more after what waits for its answer."""
        return self._parting and bool(self._pending) and not self._pending[-1].keep_alive

    def finish(self) -> None:
        """Close the connection once the answers that are due have been sent."""
        if self._pending:
            self._pending[-1].keep_alive = False
        elif self._transport is not None:
            self._end()

    def unsent_bytes(self) -> int:
        """Return what the system has not taken yet; 0 of a connection that is closed."""
        return 0 if self.closed.is_set() else int(self._transport.get_write_buffer_size())

    def dup_socket(self) -> int:
        """Return a descriptor of its own of the connection's socket, which is then open as long as that is.

        Raises:
            OSError: it is closed, or there are no descriptors to spare.
        """
        ours = self._transport.get_extra_info("socket")
        if ours is None:  # of a TLS connection that is about to end
            raise OSError("the connection has no socket any more")
        return os.dup(ours.fileno())

    def _reset(self) -> None:
        """Break the connection off: to close it would be how a stream without chunks ends well."""
        self._closing = True
        ours = self._transport.get_extra_info("socket")
        if ours is not None:
            with socket.socket(fileno=os.dup(ours.fileno())) as same:  # the loop's own object has no setsockopt
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _check_length(self, exchange: Exchange) -> None:
        for name, value in exchange.headers:
            if name == b"content-length" and value.isdigit():
                exchange.has_length = True
                if int(value) > self._limit_bytes:
                    raise _too_large(self._limit_bytes)

    def _answer_early(self, exchange: Exchange, error: SkerryError) -> None:
        """Refuse a request whose body has not been read, and will not be."""
        exchange.handled = True
        exchange.keep_alive = False
        self._closing = self._refused = True
        exchange.drop_intake()
        exchange.reply(Response.of_error(error))

    def _close(self, *, linger: bool) -> None:
        self._closing = True
        self._current = None
        if linger:
            if self._transport.can_write_eof():  # TLS cannot; its clients know the end of the answer by its length
                self._transport.write_eof()
            self._crowded = self._clogged = self._was_used = False
            self._read_or_pause()
            self._arm(LINGER_S)
        else:
            self._end()

    def _end(self) -> None:
        """Close once what has been written is sent; a client that does not take it is dropped when the timer says."""
        self._closing = True
        self._transport.close()
        if not self.closed.is_set():
            self._arm(LINGER_S if self.stranger else IDLE_TIMEOUT_S)

    def _read_or_pause(self) -> None:
        if self._transport.is_closing():
            return
        if self._crowded or self._clogged:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
            if self._current is not None:
                self._await_more()

    def _relieve(self) -> None:
        """Read on, where that paused because too many requests had no answer."""
        if self._crowded:
            self._crowded = False
            self._read_or_pause()

    def _encourage(self) -> None:
        """Ask for the body of a client that waits to be asked, once all earlier answers have been sent."""
        exchange = self._pending[0] if self._pending else None
        if exchange is not None and exchange.expects:
            exchange.expects = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._await_more()

    def _decline_upgrades(self, rest: memoryview) -> None:
        """Read requests that offer another protocol as what they are besides: requests of HTTP/1.1."""
        while True:
            offered, self._upgrading = self._upgrading, None
            method, version = self._parser.get_method(), self._parser.get_http_version()
            self._parser = httptools.HttpRequestParser(self)
            if offered is None or method == b"CONNECT":
                self._refuse(MalformedBodyError("this is no proxy: CONNECT is not supported"))
                return
            lines = [b"%s %s HTTP/%s" % (method, offered.target, version.encode())]
            lines += [b"%s: %s" % header for header in offered.headers if header[0] not in (b"upgrade", b"connection")]
            self._parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")
            if self._closing or not rest:
                return
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]

    def _refuse(self, error: SkerryError) -> None:
        """Answer what cannot be read on with ``error``, after the answers that are due, and close."""
        if self._closing:
            return
        exchange = Exchange(self)
        exchange.keep_alive = False
        if self._current is not None and self._current in self._pending:
            self._pending.remove(self._current)
            self._current.drop_intake()
        self._current = None
        self._closing = True
        self._pending.append(exchange)
        exchange.reply(Response.of_error(error))

    def _await_more(self) -> None:
        """Give the client time for the next piece of its request."""
        if not self.stranger:
            self._arm(HEAD_TIMEOUT_S)

    def _arm(self, seconds: float) -> None:
        """Have `_timed_out` called after so long."""
        self._unsent_bytes = 0
        self._timer.arm(seconds)

    def _timed_out(self) -> None:
        unsent = self._transport.get_write_buffer_size()
        if unsent and unsent == self._unsent_bytes:
            self._closing = True
            self._transport.abort()  # to close would be to wait until the client reads
        elif unsent:
            self._arm(IDLE_TIMEOUT_S)
            self._unsent_bytes = unsent
        elif self._current is not None and not self._closing:
            if self._current.expects or self._crowded or self._clogged:
                self._arm(HEAD_TIMEOUT_S)  # it is the server that keeps the client from finishing
            else:
                within_s = STRANGER_TIMEOUT_S if self.stranger else HEAD_TIMEOUT_S
                self._refuse(MalformedBodyError(f"the request was not finished within {within_s:g} s"))
        elif self._was_used:
            self._was_used = False  # since the timer was set; setting it anew for each request would cost more
            self._arm(IDLE_TIMEOUT_S)
        elif self.stranger and self._transport.is_closing():
            self._transport.abort()  # the end of TLS takes two, and this client does not do its part
        elif not self._pending:
            self._end()


def _long_head() -> MalformedBodyError:
    return MalformedBodyError(f"the request's head is larger than {MAX_HEAD_BYTES} bytes")


def _long_tail() -> MalformedBodyError:
    return MalformedBodyError(f"more than {MAX_HEAD_BYTES} bytes came after the head without any of the body")


def _too_large(limit_bytes: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body is larger than {limit_bytes} bytes; raise max_body, or send less")
