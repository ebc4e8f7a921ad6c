"""The kernel's stamps of what arrives at a socket: how late a process gets to read it does not matter then."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress

SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@qq")
# Room for one stamp beside the data, to be asked for with `recvmsg`.
STAMP_BYTES = socket.CMSG_SPACE(TIMESPEC.size)
_NS = 1_000_000_000


def ask_for_stamps(receiver: socket.socket) -> None:
    """Have the kernel stamp what arrives, with its wall clock; where it does not, nothing has a stamp."""
    with suppress(OSError):
        receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def stamp_ns(notes: Iterable[tuple[int, int, bytes]]) -> int | None:
    """Return when something arrived, nanoseconds of the wall clock; of a stream's bytes, when the last of them did.

    Args:
        notes: What `recvmsg` returned beside the data.
    """
    for level, kind, value in notes:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= TIMESPEC.size:
            seconds, rest_ns = TIMESPEC.unpack_from(value)
            return int(seconds) * _NS + int(rest_ns)
    return None
