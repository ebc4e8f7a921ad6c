"""Connections that a test feeds with reads of exactly its bytes, without sockets."""

from skerry.runtime.connection import Connection
from skerry.runtime.message import Response
from support.echo_service import EchoService


class Transport:
    """Takes what a connection sends."""

    def __init__(self):
        self.sent = b""
        self.closed = False

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return False

    def close(self):
        self.closed = True

    abort = close

    def get_extra_info(self, name):
        return None

    def get_write_buffer_size(self):
        return 0

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class FunctionService(EchoService):
    """Serves functions below /f, whose requests may be answered without parsing their heads again; answers tell all.

    Args:
        learning: Whether heads are kept at all.
        at_once: Whether requests are answered at once; else by `answer_all`.
    """

    def __init__(self, *, learning=True, at_once=True):
        super().__init__(at_once=at_once)
        if not learning:
            self.heads = {True: Forgetful(), False: Forgetful()}
        self._answered = 0

    def accept(self, exchange):
        limit = super().accept(exchange)
        if exchange.method == b"POST" and exchange.target.startswith(b"/f"):
            exchange.entry = exchange.target
        return limit

    def answer(self, exchange):
        self._answered += 1
        exchange.reply(Response(repr(seen(exchange)).encode()))

    def answer_all(self):
        for exchange in self.exchanges[self._answered :]:
            self.answer(exchange)


class Forgetful(dict):
    """Keeps nothing."""

    def __setitem__(self, key, value):
        pass


def seen(exchange):
    """Return all that a service can see of a request."""
    return (
        exchange.method,
        exchange.target,
        exchange.headers,
        bytes(exchange.body),
        exchange.entry,
        exchange.keep_alive,
        exchange.chunked,
    )


def connect(service, *, trusted=False):
    """Return a connection of a service, made."""
    connection = Connection(service, trusted=trusted)
    connection.connection_made(Transport())
    return connection


def sent(connection):
    """Return what a connection has sent."""
    return connection._transport.sent
