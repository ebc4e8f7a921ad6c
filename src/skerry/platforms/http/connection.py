"""Pooled keep-alive HTTP/1.1 connections over a Unix socket or TCP, safe to use from many threads and after a fork."""

from __future__ import annotations

import http.client
import io
import ipaddress
import os
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skerry.errors import ConfigError, TransportError
from skerry.platforms.base import Cancellation
from skerry.platforms.http.reply import Exchange, Reply, Response, describe
from skerry.platforms.http.secure import client_context, notice_loss
from skerry.platforms.transfer import add_bytes, is_counting


@dataclass(frozen=True, slots=True)
class Address:
    """A Unix socket, or a host and a TCP port, with TLS or without.

    Args:
        path: Of the Unix socket.
        host: Of the server.
        port: Of the server.
        secure: Whether it speaks TLS.
        name: What its certificate is to be for, where that is not the host.
    """

    path: Path | None = None
    host: str = ""
    port: int = 0
    secure: bool = False
    name: str = ""

    @classmethod
    def parse(cls, text: str | Path) -> Address:
        """Return the address that ``http://host:port``, ``https://host:port``, ``unix:/path`` or a path means.

        Raises:
            ConfigError: it is none of these.
        """
        if isinstance(text, Path):
            return cls(path=text)
        scheme, separator, rest = text.partition("://")
        if scheme in ("http", "https") and separator:
            host, colon, port = rest.rstrip("/").rpartition(":")
            if not colon or not port.isdigit():
                raise ConfigError(f"address {text!r}: write it as {scheme}://HOST:PORT")
            return cls(host=host.strip("[]"), port=int(port), secure=scheme == "https")
        if separator:
            raise ConfigError(f"address {text!r}: write it as http://HOST:PORT, https://HOST:PORT or unix:PATH")
        return cls(path=Path(text.removeprefix("unix:")))

    @property
    def is_same_machine(self) -> bool:
        """Whether it is of this machine for sure; what is behind TLS may be anywhere."""
        if self.path is not None or self.secure:
            return self.path is not None
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}"


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        super().__init__(address.host or "localhost", address.port or 80)
        self._address = address
        self._tls = tls
        self.response_class = partial(_counted_response, str(address))  # type: ignore[assignment]  # called like the class

    def send(self, data: Any) -> None:
        """Send what http.client makes of a request."""
        super().send(data)
        if is_counting():
            add_bytes(str(self._address), sent=len(data))

    def connect(self) -> None:
        path = self._address.path
        if path is None:
            super().connect()
            if not self._address.is_same_machine:
                notice_loss(self.sock)
            if self._tls is not None:
                self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._address.name or self._address.host)
            return
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(str(path))
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class _CountedSource(io.RawIOBase):
    """A socket's bytes, counted where they come in."""

    def __init__(self, source: Any, address: str) -> None:
        self._source = source
        self._address = address

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self._source.readinto(buffer))
        add_bytes(self._address, received=count)
        return count

    def close(self) -> None:
        self._source.close()
        super().close()


def _counted_response(address: str, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(sock, *args, **kwargs)
    if is_counting():
        response.fp.close()
        response.fp = io.BufferedReader(_CountedSource(sock.makefile("rb", buffering=0), address))
    return response


def _close_all(connections: list[_Connection]) -> None:
    while connections:
        connections.pop().close()


class ConnectionPool:
    """Idle connections to one address; as many are open as there are requests at a time.

    Args:
        address: Where to connect to.
        tls: What to expect of a server over TLS; by default the system's authorities decide.
        connect_timeout_s: Longest time for a connection to come about, seconds; none leaves it to the request's own.
        max_idle: Idle connections to keep.
    """

    def __init__(
        self,
        address: Address,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout_s: float | None = None,
        max_idle: int = 64,
    ) -> None:
        self.address = address
        self._tls = client_context(None) if tls is None and address.secure else tls
        self._connect_timeout_s = connect_timeout_s
        self._max_idle = max_idle
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._pid = os.getpid()
        # A client that is dropped without a close leaves no open socket behind, not even where it is part of a cycle: a
        # finaliser of its own might then come after those of the sockets.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """Send one request and read its whole response.

        Args:
            method: Of HTTP.
            path: With its query.
            body: Sent with its length.
            headers: Sent as they are.
            timeout_s: Longest silence of the server in seconds; none waits for as long as the connection holds.
            cancellation: Ends the request from another thread.

        Raises:
            TransportError: no response came; its detail ``sent`` says whether the server may have seen the request.
        """
        return self.open(
            method, path, body=body, headers=headers, timeout_s=timeout_s, cancellation=cancellation
        ).read_all()

    def open(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        cancellation: Cancellation | None = None,
    ) -> Reply:
        """Send one request and wait for the head of its response only; the arguments are those of :meth:`request`.

        Raises:
            TransportError: no response came; its detail ``sent`` says whether the server may have seen the request.
        """
        connection = self._take(timeout_s)
        cancellation = cancellation or Cancellation()
        exchange = Exchange(self.address, connection.sock, timeout_s)
        opened = False
        try:
            cancellation.attach(exchange.sock)
            with exchange.watched():
                raw = _send(connection, method, path, body, dict(headers or {}))
            opened = True
        finally:
            if not opened:
                cancellation.detach(exchange.sock)
                connection.close()

        def release(*, keep: bool) -> None:
            cancellation.detach(exchange.sock)
            self._give_back(connection, keep=keep and not cancellation.cancelled)

        return Reply(raw, exchange, release)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            _close_all(self._idle)

    def _take(self, timeout_s: float | None) -> _Connection:
        with self._lock:
            if self._pid != os.getpid():
                # These sockets belong to the parent of this fork; two readers would mix up their answers.
                self._pid = os.getpid()
                _close_all(self._idle)
            while self._idle:
                connection = self._idle.pop()
                if _is_quiet(connection.sock):
                    return connection
                connection.close()
        connection = _Connection(self.address, self._tls)
        bounds_s = [bound_s for bound_s in (timeout_s, self._connect_timeout_s) if bound_s is not None]
        if bounds_s:
            connection.timeout = min(bounds_s)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise TransportError(f"cannot connect to {self.address}: {describe(error)}", sent=False) from error
        return connection

    def _give_back(self, connection: _Connection, *, keep: bool) -> None:
        with self._lock:
            if keep and len(self._idle) < self._max_idle and self._pid == os.getpid():
                self._idle.append(connection)
                return
        connection.close()


def _is_quiet(sock: socket.socket) -> bool:
    # An idle connection has nothing to read; one that has was closed by the server.
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


def _send(
    connection: _Connection, method: str, path: str, body: bytes | Iterable[bytes] | None, headers: dict[str, str]
) -> http.client.HTTPResponse:
    try:
        connection.request(method, path, body=body, headers=headers)
    except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        # The server may have refused the request before it had read the whole of it: its answer says why.
        return connection.getresponse()
    return connection.getresponse()
