"""Bodies that are taken as they come, for what is too large for memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from skerry.runtime.message import Request, Response


class Intake(Protocol):
    """Takes the body of one request, piece by piece, in the event loop."""

    limit_bytes: int
    """The most bytes that the body may have."""

    def write(self, piece: bytes) -> None:
        """Take a piece; may raise `SkerryError` to refuse the rest."""

    def finish(self) -> Awaitable[Response]:
        """The body is whole: return the answer."""

    def abort(self) -> None:
        """The body will not become whole, or was refused; nothing is called after this."""


TakeBody = Callable[[Request], Intake]
"""Looks at a request without its body and returns what takes the body; may raise `SkerryError` to refuse."""
