"""A port of a cluster's pods as an address on this machine, through the API server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final

from skerry.errors import PlatformError, SkerryError
from skerry.platforms.kubernetes.api.connection import Connection
from skerry.platforms.kubernetes.pods.pods import Place
from skerry.platforms.kubernetes.pods.websocket import DATA, ERROR, answers, open_websocket

PATIENCE_S: Final = 15.0
POLL_S: Final = 0.3
CHUNK_BYTES: Final = 65536
PROBE_AFTER_S: Final = 5.0
PROBE_TIMEOUT_S: Final = 4.0
LOST_AFTER_S: Final = 15.0
AVOID_S: Final = 60.0
RECENT_S: Final = 5.0
HTTP_PROBE: Final = b"GET /health/liveness HTTP/1.1\r\nHost: skerry\r\nConnection: close\r\n\r\n"
"""What a server of HTTP answers with something, whatever it serves."""


class Forward:
    """A loopback address whose connections end in pods; each connection looks for a ready pod anew.

    So it survives that pods are replaced: connections that are open break with their pod, the next ones go to another.
    A pod that is lost with its node ends no connection: one that is silent is asked for a sign of life, over another
    connection, and its connections are broken when none has come for `LOST_AFTER_S`.

    Args:
        connection: The API server.
        namespace: Where the pods are.
        find: Returns where connections may go now.
        name: Whose port it is, for messages.
        probe: What a pod that lives answers with anything; when it is empty, its node is asked alone.

    Example:
        >>> with cluster.forward(service, 80) as address:  # doctest: +SKIP
        ...     urllib.request.urlopen(f"http://{address}/")
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        find: Callable[[], Sequence[Place]],
        name: str,
        *,
        probe: bytes = b"",
    ) -> None:
        self._connection, self._namespace, self._find, self._name = connection, namespace, find, name
        self._probe = probe
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[_Tunnel] = set()
        self._lost_at: dict[str, float] = {}  # by the pod's name
        self._turn = 0
        self._failure: tuple[SkerryError | None, float] = (None, 0.0)

    def why_broken(self) -> SkerryError | None:
        """Return why a connection failed or broke just now; none when nothing is known of it."""
        why, at = self._failure
        return why if time.monotonic() - at < RECENT_S else None

    def _note_broken(self, why: str) -> None:
        self._failure = (PlatformError(f"{self._name}: {why}", reason="broken"), time.monotonic())

    def __enter__(self) -> str:
        self._find()  # an object that is not there is an error now, not at the first connection
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._acceptor = threading.Thread(target=self._accept, name=f"forward to {self._name}", daemon=True)
        self._acceptor.start()
        threading.Thread(target=self._watch_over, name=f"sign of life of {self._name}", daemon=True).start()
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
                self._failure = (error, time.monotonic())
                return
            self._failure = (None, 0.0)
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
                    self._note_broken(tunnel.failure)

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
                    return self._open_to(self._choose(places), local)
            except SkerryError as error:
                failure = error
            if time.monotonic() > until or self._closing.wait(POLL_S):
                raise failure

    def _choose(self, places: Sequence[Place]) -> Place:
        """Take turns among the places, without those that gave no sign of life lately, unless there are no others."""
        now = time.monotonic()
        living = [place for place in places if now - self._lost_at.get(place.pod, -AVOID_S) >= AVOID_S] or places
        self._turn += 1
        return living[self._turn % len(living)]

    def _open_to(self, place: Place, local: socket.socket) -> _Tunnel:
        try:
            return _Tunnel(local, open_websocket(self._connection, self._namespace, place), place)
        except SkerryError:
            self._lost_at[place.pod] = time.monotonic()
            raise

    def _watch_over(self) -> None:
        """Break the connections of pods that give no sign of life any more."""
        alive_at: dict[Place, float] = {}
        while not self._closing.wait(PROBE_AFTER_S / 2):
            with self._lock:
                tunnels = list(self._open)
            began = time.monotonic()
            silent = [
                one for one in tunnels if began - max(one.heard_at, alive_at.get(one.place, 0.0)) >= PROBE_AFTER_S
            ]
            for place in {one.place for one in silent}:
                if answers(self._connection, self._namespace, place, self._probe, timeout_s=PROBE_TIMEOUT_S):
                    alive_at[place] = time.monotonic()
                    continue
                for one in (one for one in silent if one.place == place):
                    if time.monotonic() - max(one.heard_at, alive_at.get(place, 0.0)) >= LOST_AFTER_S:
                        self._lost_at[place.pod] = time.monotonic()
                        one.failure = (
                            f"pod {place.pod} gives no sign of life: it hangs, or its node {place.node} is lost "
                            "(see kubectl get nodes)"
                        )
                        # Before the connection breaks: whoever it breaks for asks why.
                        self._note_broken(one.failure)
                        one.close()
            alive_at = {place: at for place, at in alive_at.items() if any(one.place == place for one in tunnels)}


class _Tunnel:
    """One connection: bytes from the local socket to the pod and back."""

    def __init__(self, local: socket.socket, remote: Any, place: Place) -> None:
        self._local, self._remote, self.place = local, remote, place
        self.failure = ""
        self.heard_at = time.monotonic()

    def run(self) -> None:
        """Carry bytes until either side ends."""
        sender = threading.Thread(target=self._send, name=f"forward to {self.place.pod}", daemon=True)
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
                self.heard_at = time.monotonic()
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
