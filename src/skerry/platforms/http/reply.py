"""An HTTP response: whole, or read as it comes."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from httptools import HttpParserError

from skerry.errors import TransportError
from skerry.platforms.http.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Response:
    """A whole HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        """Return the content type, or the one that means unknown bytes."""
        return self.headers.get("content-type", "application/octet-stream")


class Release(Protocol):
    """Takes a connection back."""

    def __call__(self, *, keep: bool) -> None:
        """Take it back; ``keep`` says whether another request may use it."""


class Exchange:
    """A request on its way: its socket, and what its failures are called.

    Args:
        address: Where the server is, for messages.
        sock: The connection; has ``timeout_s`` set by this.
        timeout_s: Longest silence of the server, seconds; none waits for as long as the connection holds.
    """

    def __init__(self, address: object, sock: socket.socket, timeout_s: float | None) -> None:
        self.sock = sock
        self._address = address
        self._timeout_s = timeout_s
        sock.settimeout(timeout_s)

    def allow(self, timeout_s: float | None) -> None:
        """Change the longest silence from now on."""
        self._timeout_s = timeout_s
        self.sock.settimeout(timeout_s)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Make what sockets and the HTTP client raise in this block a `TransportError`."""
        try:
            yield
        except (OSError, HttpParserError) as error:
            what = f"no answer within {self._timeout_s:g} s" if isinstance(error, TimeoutError) else describe(error)
            raise TransportError(f"the connection to {self._address} was lost: {what}", sent=True) from error


class Reply:
    """A response whose head has come; its body is read as it comes.

    Args:
        incoming: The response.
        exchange: The request that it answers.
        release: Called once, at the end of the body or when the reply is closed before it.
    """

    def __init__(self, incoming: Incoming, exchange: Exchange, release: Release) -> None:
        self._release: Release | None = release
        self._incoming = incoming
        self._exchange = exchange
        self.status = incoming.status
        self.headers: Mapping[str, str] = incoming.headers

    def read_some(self, *, timeout_s: float | None = None) -> bytes:
        """Wait for more of the body and return it; empty at its end.

        Args:
            timeout_s: Longest wait in seconds; none waits for as long as the connection holds.

        Raises:
            TransportError: the connection was lost, or was cut before the end.
        """
        if self._release is None:
            return b""
        try:
            with self._exchange.watched():
                self._exchange.allow(timeout_s)
                chunk = self._incoming.read_some()
        except BaseException:
            self.close()
            raise
        if not chunk:
            self._finish(keep=self._incoming.keeps)
        return chunk

    def read_all(self, *, most_bytes: int | None = None) -> Response:
        """Read the rest of the body and return the whole response.

        Args:
            most_bytes: Largest body that is taken; none takes any.

        Raises:
            AnswerTooLargeError: the body is larger; the connection is closed.
            TransportError: the connection was lost before the end.
        """
        try:
            with self._exchange.watched():
                body = self._incoming.read_all(most_bytes=most_bytes)
        except BaseException:
            self.close()
            raise
        self._finish(keep=self._incoming.keeps)
        return Response(self.status, self.headers, body)

    def close(self) -> None:
        """Close the connection, unless the body has ended: the server sees that nobody waits for the rest."""
        self._finish(keep=False)

    def __del__(self) -> None:
        # A stream that was dropped in the middle holds its connection open, and so its call, for nobody.
        self.close()

    def _finish(self, *, keep: bool) -> None:
        release, self._release = self._release, None
        if release is not None:
            release(keep=keep)


def describe(error: BaseException) -> str:
    """Return what went wrong with a connection, in a few words."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
