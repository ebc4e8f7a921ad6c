"""A datagram as it arrived."""

from __future__ import annotations

from typing import NamedTuple


class Datagram(NamedTuple):
    """A UDP datagram, who sent it, and when it came.

    Args:
        data: Its payload.
        address: The sender's address, 4 or 16 bytes.
        port: The sender's port.
        received_ms: When it reached this machine, Unix time in milliseconds by our clock.
    """

    data: bytes
    address: bytes
    port: int
    received_ms: int
