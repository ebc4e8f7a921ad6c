"""The last bytes of connections that end: they are the front's until clients have them.

A process that exits leaves what its sockets still hold to the kernel, which goes on sending. Not so in a pod: its
network is taken down with it, and the rest of an answer is lost without a word to the client, who waits on. So a front
ends when its answers have been acknowledged, not when they have been written.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import sys
import termios
from collections.abc import Iterable
from typing import Protocol

STALLED_S = 5.0  # a client that takes nothing for so long is not waited for
POLL_S = 0.02
_CLOSED = 7  # TCP_CLOSE of the kernel's tcp_states.h: the client has reset the connection


class Parting(Protocol):
    """A connection that is to end once its client has the answers that are due."""

    closed: asyncio.Event

    def unsent_bytes(self) -> int:
        """Return what the kernel has not been given yet."""

    def dup_socket(self) -> int:
        """Return a descriptor of its own of the connection's socket; may raise `OSError`."""

    def finish(self) -> None:
        """Close the connection once the answers that are due have been sent."""


class Delivery:
    """One connection on its way to its end.

    Args:
        parting: The connection; it is told to finish.
    """

    def __init__(self, parting: Parting) -> None:
        self._parting = parting
        self._fd = -1
        with contextlib.suppress(OSError):  # without descriptors to spare, what was written has to do
            self._fd = parting.dup_socket()
        parting.finish()

    def left_bytes(self) -> int:
        """Return what the client has not acknowledged."""
        return self._parting.unsent_bytes() + (0 if self._fd < 0 else unacknowledged_bytes(self._fd))

    def is_over(self) -> bool:
        """Whether the connection is closed and the client has everything."""
        return self._parting.closed.is_set() and (self._fd < 0 or not unacknowledged_bytes(self._fd))

    def close(self) -> None:
        """Let go of the socket; it is only now that the client sees the end of the connection."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


async def deliver(connections: Iterable[Parting], *, limit_s: float, patience_s: float) -> None:
    """Finish connections, and wait until their clients have the answers.

    Args:
        connections: Those to end.
        limit_s: The longest wait.
        patience_s: The longest wait for the answer to a request that has none.
    """
    now_s = asyncio.get_running_loop().time
    until_s = now_s() + limit_s
    open_now = {Delivery(connection): (-1, now_s()) for connection in connections}
    pause_s = 0.0
    try:
        while open_now and now_s() < until_s:
            await asyncio.sleep(pause_s)
            pause_s = min(POLL_S, 2 * pause_s + 0.001)
            for delivery, (before, since_s) in list(open_now.items()):
                left = delivery.left_bytes()
                if left != before:
                    open_now[delivery] = (left, now_s())
                allowed_s = STALLED_S if left else patience_s
                if delivery.is_over() or (left == before and now_s() - since_s >= allowed_s):
                    delivery.close()
                    del open_now[delivery]
    finally:
        for delivery in open_now:
            delivery.close()


def unacknowledged_bytes(fd: int) -> int:
    """Return what was written to a connection's socket and has not reached the client; 0 when nobody can tell.

    Args:
        fd: The socket's descriptor.
    """
    try:
        count = int.from_bytes(fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)), sys.byteorder)  # SIOCOUTQ, see tcp(7)
        return 0 if count and _is_reset(fd) else count
    except OSError:
        return 0


def _is_reset(fd: int) -> bool:
    with socket.socket(fileno=os.dup(fd)) as same:
        return same.family != socket.AF_UNIX and same.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED
