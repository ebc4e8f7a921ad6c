"""Pooled keep-alive HTTP/1.1 connections over a Unix socket or TCP, safe to use from many threads and after a fork."""

from __future__ import annotations

import ipaddress
import os
import re
import select
import socket
import ssl
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skerry.errors import ConfigError, TransportError
from skerry.platforms.base import Cancellation
from skerry.platforms.http.incoming import Incoming
from skerry.platforms.http.reply import Exchange, Reply, Response, describe
from skerry.platforms.http.secure import client_context, notice_loss
from skerry.platforms.http.sending import Body, pieces_of
from skerry.platforms.transfer import add_bytes, is_counting

_HOST_AND_PORT = re.compile(r"(?!unix:)[^/]+:\d+")


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
        if _HOST_AND_PORT.fullmatch(text):
            raise ConfigError(f"address {text!r}: the scheme is missing; write it as http://{text} or https://{text}")
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


class _Connection:
    """One connection, for one request at a time.

    Args:
        address: Where the server is.
        tls: What to expect of it; none speaks without TLS.
        timeout_s: Longest time for the connection to come about, seconds.

    Raises:
        OSError: there is none.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timeout_s: float | None) -> None:
        self._address = address
        self._name = str(address)
        self.sock = _open_socket(address, tls, timeout_s)

    def ask(self, method: str, path: str, body: Body, headers: Mapping[str, str]) -> Incoming:
        """Send a request, and return its response, whose head has come."""
        try:
            for piece in pieces_of(method, path, self._host(), body, headers):
                self.sock.sendall(piece)
                if is_counting():
                    add_bytes(self._name, sent=len(piece))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # The server may have refused the request before it had read the whole of it: its answer says why.
            return self._answer(method)
        return self._answer(method)

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def _answer(self, method: str) -> Incoming:
        incoming = Incoming(self.sock, self._name, has_body=method != "HEAD")
        incoming.read_head()
        return incoming

    def _host(self) -> str:
        if self._address.path is not None:
            return "localhost"
        host = f"[{self._address.host}]" if ":" in self._address.host else self._address.host
        return f"{host}:{self._address.port}"


def _open_socket(address: Address, tls: ssl.SSLContext | None, timeout_s: float | None) -> socket.socket:
    if address.path is not None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
    else:
        sock = socket.create_connection((address.host, address.port), timeout_s)
    try:
        if address.path is not None:
            sock.connect(str(address.path))
            return sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not address.is_same_machine:
            notice_loss(sock)
        return sock if tls is None else tls.wrap_socket(sock, server_hostname=address.name or address.host)
    except BaseException:
        sock.close()
        raise


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
        body: Body = None,
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
        body: Body = None,
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
                incoming = connection.ask(method, path, body, headers or {})
            opened = True
        finally:
            if not opened:
                cancellation.detach(exchange.sock)
                connection.close()

        def release(*, keep: bool) -> None:
            cancellation.detach(exchange.sock)
            self._give_back(connection, keep=keep and not cancellation.cancelled)

        return Reply(incoming, exchange, release)

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
        bounds_s = [bound_s for bound_s in (timeout_s, self._connect_timeout_s) if bound_s is not None]
        try:
            return _Connection(self.address, self._tls, min(bounds_s, default=None))
        except OSError as error:
            raise TransportError(f"cannot connect to {self.address}: {describe(error)}", sent=False) from error

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
