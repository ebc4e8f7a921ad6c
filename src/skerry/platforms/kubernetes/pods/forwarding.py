"""A port of a cluster's pods as an address on this machine, through the API server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from skerry.errors import PlatformError, SkerryError
from skerry.platforms.kubernetes.api.connection import Connection
from skerry.platforms.kubernetes.pods.pods import Place

PATIENCE_S: Final = 15.0
POLL_S: Final = 0.3
CHUNK_BYTES: Final = 65536
PROTOCOL: Final = "v4.channel.k8s.io"
DATA: Final = 0
ERROR: Final = 1


class Forward:
    """A loopback address whose connections end in pods; each connection looks for a ready pod anew.

    So it survives that pods are replaced: connections that are open break with their pod, the next ones go to another.

    Args:
        connection: The API server.
        namespace: Where the pods are.
        find: Returns where connections may go now.
        name: Whose port it is, for messages.

    Example:
        >>> with cluster.forward(service, 80) as address:  # doctest: +SKIP
        ...     urllib.request.urlopen(f"http://{address}/")
    """

    def __init__(self, connection: Connection, namespace: str, find: Callable[[], Sequence[Place]], name: str) -> None:
        self._connection, self._namespace, self._find, self._name = connection, namespace, find, name
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Any] = set()
        self._turn = 0
        self.failure: SkerryError | None = None
        """Why the last connection failed; none when it did not."""

    def __enter__(self) -> str:
        self._find()  # an object that is not there is an error now, not at the first connection
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, name=f"forward to {self._name}", daemon=True)
        self._acceptor.start()
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        with self._lock:
            pending = list(self._open)
        for tunnel in pending:
            tunnel.close()
        self._acceptor.join(timeout=5.0)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(local,), name=f"forward to {self._name}", daemon=True).start()

    def _serve(self, local: socket.socket) -> None:
        with local:
            try:
                tunnel = self._connect(local)
            except SkerryError as error:
                self.failure = error
                return
            self.failure = None
            with self._lock:
                self._open.add(tunnel)
            try:
                if not self._closing.is_set():
                    tunnel.run()
            finally:
                tunnel.close()
                with self._lock:
                    self._open.discard(tunnel)
                if tunnel.failure:
                    self.failure = PlatformError(f"{self._name}: {tunnel.failure}", reason="broken")

    def _connect(self, local: socket.socket) -> _Tunnel:
        """Open a way to a ready pod. Nothing was sent yet, so another pod may be tried."""
        until = time.monotonic() + PATIENCE_S
        failure: SkerryError = PlatformError(
            f"{self._name} has no pod that is ready; see: skerry describe, skerry logs", reason="no_pods"
        )
        while True:
            try:
                places = self._find()
                if places:
                    self._turn += 1
                    place = places[self._turn % len(places)]
                    return _Tunnel(local, open_websocket(self._connection, self._namespace, place), place)
            except SkerryError as error:
                failure = error
            if time.monotonic() > until or self._closing.wait(POLL_S):
                raise failure


def open_websocket(connection: Connection, namespace: str, place: Place) -> Any:
    """Return a WebSocket of the client library to a pod's port.

    Raises:
        SiteUnreachableError: the API server cannot be reached.
        PlatformError: it refuses, or the pod has gone.
    """
    from kubernetes.stream import ws_client
    from websocket import WebSocketBadStatusException, WebSocketException

    parts = urlsplit(connection.access.server)
    scheme = "wss" if parts.scheme == "https" else "ws"
    path = f"{parts.path.rstrip('/')}/api/v1/namespaces/{namespace}/pods/{place.pod}/portforward"
    url = urlunsplit((scheme, parts.netloc, path, f"ports={place.port}", ""))
    headers = {"sec-websocket-protocol": PROTOCOL}
    if token := connection.headers().get("Authorization"):
        headers["authorization"] = token
    try:
        return ws_client.create_websocket(connection.access.configuration, url, headers)
    except WebSocketBadStatusException as error:
        raise connection.refusal(
            error.status_code, error.resp_body or b"", doing=f"forwarding to pod {place.pod}"
        ) from error
    except (WebSocketException, OSError) as error:
        raise connection.failure(error) from error


class _Tunnel:
    """One connection: bytes from the local socket to the pod and back."""

    def __init__(self, local: socket.socket, remote: Any, place: Place) -> None:
        self._local, self._remote, self._place = local, remote, place
        self.failure = ""

    def run(self) -> None:
        """Carry bytes until either side ends."""
        sender = threading.Thread(target=self._send, name=f"forward to {self._place.pod}", daemon=True)
        sender.start()
        self._receive()
        _shut(self._local)
        sender.join(timeout=5.0)

    def close(self) -> None:
        """End both sides; threads that wait on them wake."""
        _shut(self._local)
        if sock := self._remote.sock:
            _shut(sock)

    def _send(self) -> None:
        from websocket import WebSocketException

        try:
            while chunk := self._local.recv(CHUNK_BYTES):
                self._remote.send_binary(bytes([DATA]) + chunk)
        except (OSError, WebSocketException):
            pass
        finally:
            # The protocol cannot say that one side has ended: who has sent all is taken to have read all.
            self.close()

    def _receive(self) -> None:
        from websocket import ABNF, WebSocketException

        begun = {DATA: False, ERROR: False}
        try:
            while True:
                code, frame = self._remote.recv_data()
                if code != ABNF.OPCODE_BINARY or not frame:
                    return
                channel, content = frame[0], frame[1:]
                if not begun.get(channel, True):  # the first frame of each channel holds the port's number
                    begun[channel] = True
                elif channel == ERROR:
                    self.failure = content.decode(errors="replace").strip()
                    return
                else:
                    self._local.sendall(content)
        except (OSError, WebSocketException):
            return


def _shut(sock: socket.socket) -> None:
    try:
        # The plain socket's shutdown: that of a TLS socket takes away what another thread is reading with.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return
