"""Messages to a running link process: one JSON object each way, over a Unix socket in its folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from skerry.errors import PlatformError, SkerryError, from_problem

LONGEST_MESSAGE_BYTES = 1 << 17
ANSWER_TIMEOUT_S = 20.0


class ControlServer:
    """The link process' end; never waits, so that packets do not either.

    Args:
        path: Where the socket appears.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        # Sequenced packets keep messages whole: one read is one request.
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        _at(path, self._listener.bind)
        path.chmod(0o600)
        self._listener.listen(16)
        self._peers: dict[int, socket.socket] = {}

    @property
    def descriptors(self) -> list[int]:
        """What to wait for."""
        return [self._listener.fileno(), *self._peers]

    def receive(self, descriptor: int) -> dict[str, Any] | None:
        """Return the request at a descriptor that can be read, or None when there is none after all."""
        if descriptor == self._listener.fileno():
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return None
            peer.setblocking(False)
            self._peers[peer.fileno()] = peer
            return None
        try:
            message = self._peers[descriptor].recv(LONGEST_MESSAGE_BYTES)
            request = json.loads(message) if message else None
        except (OSError, ValueError):
            request = None
        if not isinstance(request, dict):
            self._peers.pop(descriptor).close()
            return None
        return request

    def answer(self, descriptor: int, reply: dict[str, Any]) -> None:
        """Send the reply to a request."""
        try:
            self._peers[descriptor].send(json.dumps(reply).encode())
        except OSError:
            self._peers.pop(descriptor).close()

    def close(self) -> None:
        """Close the socket and remove its file."""
        for peer in self._peers.values():
            peer.close()
        self._listener.close()
        self._path.unlink(missing_ok=True)


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to a link process and return its reply.

    Args:
        path: Its socket.
        request: Plain data; ``do`` says what is wanted.

    Raises:
        SkerryError: what the link process found wrong with the request.
        PlatformError: no link process answers there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            _at(path, connection.connect)
            connection.send(json.dumps(request).encode())
            reply = json.loads(connection.recv(LONGEST_MESSAGE_BYTES) or b"null")
        except (OSError, ValueError) as error:
            raise PlatformError(f"no link process answers at {path}: {error}") from error
    if not isinstance(reply, dict):
        raise PlatformError(f"the link process at {path} ended while it was asked")
    if "problem" in reply:
        raise from_problem(reply["problem"])
    return reply


def problem_reply(error: SkerryError) -> dict[str, Any]:
    """Return the reply that makes :func:`ask` raise an error."""
    return {"problem": error.to_problem()}


def _at(path: Path, act: Any) -> None:
    """Bind or connect to a path of any length: an address holds 107 bytes, and folders may be deeper than that."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        act(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
