"""Where other machines connect: over TLS, with a look at each connection before its handshake."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from skerry.runtime.room import Room

logger = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 15.0
PAUSE_S = 1.0  # when the system has no descriptor or memory for a connection
AT_ONCE = 64  # connections of one turn of the loop


class TlsDoor:
    """Accepts connections itself: the loop's own server tells of one when its handshake is over, and not before.

    Args:
        sockets: What listens.
        tls: What to show to clients.
        make: Makes the protocol of a connection.
        room: Says whether there is room for one more.
    """

    def __init__(
        self,
        sockets: list[socket.socket],
        tls: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        room: Room,
    ) -> None:
        self.sockets = sockets
        self._tls = tls
        self._make = make
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._greeting: set[asyncio.Task[None]] = set()
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        for listener in sockets:
            self._open(listener)

    @classmethod
    async def listen(
        cls,
        host: str,
        port: int,
        *,
        backlog: int,
        tls: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        room: Room,
    ) -> TlsDoor:
        """Listen on all addresses that ``host`` stands for.

        Raises:
            OSError: one is in use or not this machine's.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with contextlib.ExitStack() as opened:
            sockets = []
            for family, address in dict.fromkeys((one[0], one[4]) for one in found):
                listener = opened.enter_context(socket.create_server(address, family=family, backlog=backlog))
                listener.setblocking(False)
                sockets.append(listener)
            opened.pop_all()
        return cls(sockets, tls, make, room)

    def close(self) -> None:
        """Accept no more; handshakes that have begun go on."""
        for pause in self._pauses.values():
            pause.cancel()
        for listener in self.sockets:
            self._loop.remove_reader(listener)
            listener.close()

    def _open(self, listener: socket.socket) -> None:
        self._pauses.pop(listener, None)
        self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                logger.warning("no connection can be accepted for a moment: %s", error)
                self._loop.remove_reader(listener)
                self._pauses[listener] = self._loop.call_later(PAUSE_S, self._open, listener)
                return
            if not self._room.takes(accepted.fileno(), public=True):
                accepted.close()
                continue
            accepted.setblocking(False)
            task = self._loop.create_task(self._greet(accepted))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a client that left, was too slow, or spoke no TLS
            await self._loop.connect_accepted_socket(
                self._make, accepted, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S
            )
