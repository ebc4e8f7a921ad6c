"""A call and a worker as the dispatcher sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from skerry.errors import SkerryError
from skerry.runtime.frames import Frame


class Call:
    """One request to a function, from its arrival to its answer."""

    __slots__ = (
        "arrival",
        "attempts",
        "body",
        "cancelled",
        "codec",
        "done",
        "enqueued_s",
        "meta",
        "number",
        "on_answer",
        "on_start",
        "returned",
        "slot",
        "started_s",
        "waiting",
    )

    def __init__(
        self,
        body: bytes,
        codec: int,
        meta: dict[str, Any],
        on_answer: Callable[[Frame | SkerryError], None],
        on_start: Callable[[int], None] | None = None,
    ) -> None:
        self.body = body
        self.codec = codec
        self.meta = meta
        self.on_answer = on_answer  # called exactly once
        self.on_start = on_start  # called with the attempt's number each time a worker is given the call
        self.number = 0
        self.arrival = 0  # its place in the order of arrival
        self.attempts = 0
        self.returned = 0  # how often a worker died that held it and had not begun it
        self.enqueued_s = 0.0
        self.started_s = 0.0  # when a worker was given it
        self.waiting = False
        self.done = False
        self.cancelled = False  # answered already, and must not run on
        self.slot: Slot | None = None


class Port(Protocol):
    """What the dispatcher needs of a worker's connection."""

    def send(self, data: bytes) -> None:
        """Send frames to the worker."""

    def kill(self) -> None:
        """End the worker at once."""

    def running(self) -> int:
        """Return the number of the call that the worker began last, 0 for none."""


class Slot:
    """A worker as the dispatcher sees it."""

    __slots__ = ("draining", "idle_since_s", "outstanding", "port", "reason", "since_s", "started_s", "taken")

    def __init__(self, port: Port) -> None:
        self.port = port
        self.outstanding: dict[int, Call] = {}
        self.draining = False
        self.reason: SkerryError | None = None  # why it was killed, if we did it
        self.since_s = 0.0  # when the call that runs now began, or when the last answer came
        self.started_s = 0.0  # when the present batch was handed over
        self.taken = 0  # calls in the present batch
        self.idle_since_s = 0.0
