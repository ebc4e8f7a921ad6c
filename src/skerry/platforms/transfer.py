"""How much this process has moved over its connections to platforms, for experiments and the curious."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SentContent:
    """One content of a file or folder that was sent to a platform.

    Args:
        address: Where to.
        digest: Of the content, like ``sha256:9f86…``.
        size_bytes: The size of the content.
        bytes_sent: What went over the connection for it.
        coding: How it went: ``"zstd"``, or ``"none"``.
        ratio: The compressed size of its sample, as a share of the sample; None where none was taken.
        rate_bytes_per_s: What the link was measured to carry when the coding was chosen; None where it was not.
        why: The reason for the coding, in words.
        seconds: From the first byte to the answer.
    """

    address: str
    digest: str
    size_bytes: int
    bytes_sent: int
    coding: str
    ratio: float | None
    rate_bytes_per_s: float | None
    why: str
    seconds: float


@dataclass(slots=True)
class Moved:
    """Bytes that went to one address and came from it."""

    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass(slots=True)
class Transfer:
    """What a process moved over its connections to platforms; see :func:`count_transfer`.

    The bytes are those of HTTP, heads and bodies: not what TLS, TCP and IP put around them.

    Attributes:
        by_address: The bytes of each platform's address.
        contents: Contents of files and folders that were sent, in the order in which they arrived.
    """

    by_address: dict[str, Moved] = field(default_factory=dict)
    contents: list[SentContent] = field(default_factory=list)

    @property
    def bytes_sent(self) -> int:
        """Bytes to all platforms."""
        return sum(moved.bytes_sent for moved in self.by_address.values())

    @property
    def bytes_received(self) -> int:
        """Bytes from all platforms."""
        return sum(moved.bytes_received for moved in self.by_address.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the two sums, for a report."""
        return {"bytes_sent": self.bytes_sent, "bytes_received": self.bytes_received}


_open: tuple[Transfer, ...] = ()
_lock = threading.Lock()


@contextmanager
def count_transfer() -> Iterator[Transfer]:
    """Count what this process moves to and from platforms, in all its threads, for the block of a ``with`` statement.

    Example:
        >>> with count_transfer() as transfer:
        ...     pass
        >>> transfer.bytes_sent
        0
    """
    global _open  # read at every send, so that nobody pays for what nobody counts
    transfer = Transfer()
    with _lock:
        _open = (*_open, transfer)
    try:
        yield transfer
    finally:
        with _lock:
            _open = tuple(one for one in _open if one is not transfer)


def is_counting() -> bool:
    """Return whether anybody counts."""
    return bool(_open)


def add_bytes(address: str, *, sent: int = 0, received: int = 0) -> None:
    """Count bytes that went to an address or came from it."""
    with _lock:
        for transfer in _open:
            moved = transfer.by_address.setdefault(address, Moved())
            moved.bytes_sent += sent
            moved.bytes_received += received


def add_content(content: SentContent) -> None:
    """Note a content that was sent."""
    with _lock:
        for transfer in _open:
            transfer.contents.append(content)
