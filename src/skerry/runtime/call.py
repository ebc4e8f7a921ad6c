"""A call and a worker as the dispatcher sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from skerry.errors import SkerryError
from skerry.runtime.frames import HEADER, MAX_TIME, NO_META, Frame, Kind, encode_frame

CALL = int(Kind.CALL)  # looking a member up costs more than the rest of a frame's header
DEFAULT_URGENCY = 3  # RFC 9218, section 4.1


class Call:
    """One request to a function, from its arrival to its answer.

    What most calls leave as it is stands on the class: making one is part of every request's cost.

    Args:
        body: The arguments, encoded.
        codec: How; a `Codec`.
        meta: What else the worker is told.
        on_answer: Called exactly once, with the frame of the result or the error.
        on_start: Called with the attempt's number each time a worker is given the call, before it can begin.
    """

    body: bytes = b""
    codec: int = 0
    meta: dict[str, Any] = NO_META
    number = 0
    arrival = 0  # its place in the order of arrival
    attempts = 0
    returned = 0  # how often a worker died that held it and had not begun it
    enqueued_s = 0.0
    started_s = 0.0  # when a worker was given it
    timeout_s: float | None = None  # what the caller has said, from its arrival
    deadline_s: float | None = None  # the same as a reading of the clock
    urgency = DEFAULT_URGENCY  # 0 to 7, 0 first
    weight: float | None = None  # what it counts in a batch
    group: str | None = None  # calls of one group may share a batch
    together = 1  # calls that one call of the handler answers, this one among them
    waiting = False
    done = False
    cancelled = False  # answered already, and must not run on
    streaming = False  # its answer has begun and comes in pieces
    slot: Slot | None = None
    trace: Any = None  # what its observer keeps of it, where it is traced
    on_start: Callable[[int], None] | None = None

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
        self._on_answer = on_answer
        if on_start is not None:
            self.on_start = on_start

    def on_answer(self, answer: Frame | SkerryError) -> None:
        """Take the end of the call: a RESULT, an ERROR, the END of a stream, or why there is none."""
        self._on_answer(answer)

    def on_piece(self, frame: Frame) -> None:
        """Take a STREAM frame or a PIECE; a caller that knows no streams lets them pass."""


class Port(Protocol):
    """What the dispatcher needs of a worker's connection."""

    def send(self, data: bytes) -> None:
        """Send frames to the worker."""

    def cancel(self, number: int) -> None:
        """Ask the worker to stop a call, by interrupting plain code if it must."""

    def poll(self, limit_s: float) -> bool:
        """Look for an answer for so long without going to sleep; whether one came."""

    def kill(self) -> None:
        """End the worker at once."""

    def kill_traced(self) -> None:
        """Have the worker log where its code is, and end it a moment later."""

    def running(self) -> int:
        """Return the number of the call that the worker began last, 0 for none."""


class Slot:
    """A worker as the dispatcher sees it."""

    __slots__ = (
        "draining",
        "due_s",
        "idle_since_s",
        "is_group",
        "outstanding",
        "port",
        "reason",
        "since_s",
        "started_s",
        "streams",
        "taken",
        "takes_items",
    )

    def __init__(self, port: Port) -> None:
        self.port = port
        self.outstanding: dict[int, Call] = {}
        self.draining = False
        self.reason: SkerryError | None = None  # why it was killed, if we did it
        self.since_s = 0.0  # when the call that runs now began, or when the last answer came
        self.started_s = 0.0  # when the present batch was handed over
        self.due_s = 0.0  # when it is expected to end
        self.taken = 0  # calls in the present batch
        self.is_group = False  # the present batch is one call of the handler
        self.idle_since_s = 0.0
        self.takes_items = False  # its handler takes a list
        self.streams = False  # its handler answers in pieces


def frame_of(call: Call, now_s: float) -> bytes:
    """Return the frame that hands a call over.

    Args:
        call: Its number, attempts and deadline are set.
        now_s: Now, by the dispatcher's clock.
    """
    body = call.body
    if call.attempts == 1 and call.deadline_s is None and not call.meta:
        return HEADER.pack(len(body), call.number, CALL, call.codec, 0, 0) + body
    left_ms = 0 if call.deadline_s is None else min(MAX_TIME, max(1, int((call.deadline_s - now_s) * 1000)))
    meta = call.meta if call.attempts == 1 else {**call.meta, "attempt": call.attempts}
    return encode_frame(CALL, call.number, body, codec=call.codec, meta=meta, time=left_ms)
