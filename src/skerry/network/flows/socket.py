"""The UDP socket of a collector: drained in gulps, and honest about what the kernel dropped."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import select
import socket
import struct
import time
from types import TracebackType
from typing import Self

from skerry.errors import ConfigError
from skerry.network.flows.datagram import Datagram

# The largest UDP datagram.
_MAX_BYTES = 65_535

# Linux: a datagram carries how many were dropped before it (socket(7), SO_RXQ_OVFL) and when the kernel got it
# (SO_TIMESTAMPNS), and root may set a receive buffer beyond the limit for all (SO_RCVBUFFORCE). Python has no names.
_SO_RXQ_OVFL = 40
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33

_DROPS = struct.Struct("I")
_MOMENT = struct.Struct("ll")  # seconds and nanoseconds, Unix time
_SOCKET = socket.SOL_SOCKET
_ANCILLARY_BYTES = socket.CMSG_SPACE(_DROPS.size) + socket.CMSG_SPACE(_MOMENT.size)


class DatagramSocket:
    """A UDP socket that datagrams are taken from many at a time.

    Args:
        host: Address to listen on; ``::`` is all of both families.
        port: Port; 0 for one that the system chooses.
        buffer_bytes: What the kernel may hold while nobody reads: datagrams of a second or more. Without root, the
            kernel's limit (``net.core.rmem_max``) may be less; see ``buffer_bytes`` of the socket.

    Raises:
        ConfigError: The address cannot be listened on.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 2055, *, buffer_bytes: int = 32 << 20) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
            with contextlib.suppress(OSError):  # where a kernel does not tell it, the moment of reading has to do
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._raise_buffer(buffer_bytes)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise ConfigError(f"udp {host} port {port}: {error.strerror or error}", hint=_hint(error)) from error
        self._socket.setblocking(False)
        self.dropped = 0
        self._packed: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def is_gone(self) -> bool:
        """Whether nothing can ever be received any more: its file descriptor was closed."""
        try:
            self._socket.getsockname()
        except OSError:
            return True
        return False

    @property
    def buffer_bytes(self) -> int:
        """What the kernel really holds; its own overhead counts, so payloads get about a third of it."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def receive(self, wait_s: float, *, max_datagrams: int = 8_192, max_bytes: int = 2 << 20) -> list[Datagram]:
        """Wait for datagrams, and take those that are there.

        Args:
            wait_s: How long to wait for the first.
            max_datagrams: At most so many.
            max_bytes: No more once there are so many bytes.

        Returns:
            The datagrams, in the order of arrival, each with the moment at which the kernel got it: one that has waited
            in its buffer is not younger for that. None where none came in time.
        """
        taken: list[Datagram] = []
        if not select.select([self._socket], [], [], wait_s)[0]:
            return taken
        size = 0
        now_ms = time.time_ns() // 1_000_000
        while len(taken) < max_datagrams and size < max_bytes:
            try:
                data, ancillary, _, sender = self._socket.recvmsg(_MAX_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                break
            except ConnectionError:
                continue  # an answer to something that was never asked: ICMP
            at_ms = now_ms
            for level, kind, value in ancillary:
                if level != _SOCKET:
                    continue
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _MOMENT.unpack(value)
                    at_ms = seconds * 1000 + nanoseconds // 1_000_000
                elif kind == _SO_RXQ_OVFL:
                    self.dropped = _DROPS.unpack(value[: _DROPS.size])[0]
            taken.append(Datagram(data, self._address(sender[0]), sender[1], at_ms))
            size += len(data)
        return taken

    def _raise_buffer(self, wanted_bytes: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, wanted_bytes)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted_bytes)

    def _address(self, text: str) -> bytes:
        packed = self._packed.get(text)
        if packed is None:
            address = ipaddress.ip_address(text.partition("%")[0])
            if isinstance(address, ipaddress.IPv6Address):
                address = address.ipv4_mapped or address
            if len(self._packed) >= 1_024:
                self._packed.clear()
            packed = self._packed[text] = address.packed
        return packed


def _hint(error: OSError) -> str:
    """Return what to do where an address cannot be listened on."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "listen on an address of this machine, which `ip -br address` lists"
    return "choose another --port, or end what listens there: ss -lup"
