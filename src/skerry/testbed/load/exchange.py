"""One request of a run, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skerry.testbed.load.connection import Connection


class Failure(StrEnum):
    """Why a request has no good answer, other than by its status."""

    TIMEOUT = "timeout"
    REFUSED = "connection_refused"
    UNREACHABLE = "cannot_connect"
    LOST = "connection_lost"
    BAD_ANSWER = "bad_answer"
    # The last two are the generator's own doing, and make a run worthless as a measurement of the server.
    DROPPED = "dropped_behind_schedule"
    NO_CONNECTION = "dropped_no_connection"


OWN_FAULTS = frozenset({Failure.DROPPED, Failure.NO_CONNECTION})


class Exchange:
    """A request that is to be sent, is on its way, or has ended.

    Args:
        intended_ns: When it was to be sent, by `time.monotonic_ns`.
        request: Its bytes.
    """

    __slots__ = ("connection", "ended", "intended_ns", "request", "sent_ns")

    def __init__(self, intended_ns: int, request: bytes) -> None:
        self.intended_ns = intended_ns
        self.request = request
        # Zero until a connection has taken it.
        self.sent_ns = 0
        self.ended = False
        self.connection: Connection | None = None
