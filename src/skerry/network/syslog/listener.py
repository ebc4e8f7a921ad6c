"""Listening for syslog over UDP (RFC 5426)."""

from __future__ import annotations

import ipaddress
from types import TracebackType
from typing import Self

from skerry.errors import DataError
from skerry.network.flows.socket import DatagramSocket
from skerry.network.syslog.message import SyslogMessage
from skerry.network.syslog.parsing import parse_syslog


class SyslogListener:
    """Takes syslog messages from a UDP port.

    Args:
        host: Address to listen on.
        port: Port; 0 for one that the system chooses. The usual 514 needs root.
        offset_s: What clocks that name no time zone are ahead of UTC.

    Raises:
        ConfigError: The address cannot be listened on.

    Example:
        >>> with SyslogListener(port=0) as listener:
        ...     listener.take(0.0)
        []
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 514, *, offset_s: int = 0) -> None:
        self._socket = DatagramSocket(host, port, buffer_bytes=8 << 20)
        self._offset_s = offset_s
        self.refused = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._socket.port

    @property
    def dropped(self) -> int:
        """Messages that the kernel dropped because nobody took them in time."""
        return self._socket.dropped

    def take(self, wait_s: float) -> list[SyslogMessage]:
        """Return the messages that are there; datagrams that are no syslog are counted in ``refused``.

        Args:
            wait_s: How long to wait for the first.
        """
        messages: list[SyslogMessage] = []
        for datagram in self._socket.receive(wait_s):
            sender = str(ipaddress.ip_address(datagram.address))
            try:
                messages.append(
                    parse_syslog(
                        datagram.data, received_ms=datagram.received_ms, sender=sender, offset_s=self._offset_s
                    )
                )
            except DataError:
                self.refused += 1
        return messages
