"""What a handler may know of the call that it answers: the time left, the attempt, the trace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from skerry.errors import ConfigError
from skerry.runtime.frames import Frame


@dataclass(frozen=True, slots=True)
class Context:
    """The call that a handler answers.

    Args:
        deadline_s: Time left until nobody waits for the answer any more, seconds, 0 when it has passed; None without a
            deadline. In a batch that of the caller with the least time.
        attempt: 1, or more when a worker was lost with the call and another has it now. In a batch the largest.
        traceparent: The caller's ``traceparent`` (W3C Trace Context). In a batch that of the first caller.
        tracestate: The caller's ``tracestate``, to be handed on with it.
        step: Of a step of a chain, what it is known by: the same at each attempt, and different from every other step
            of every run. Write an effect with it, such as by `State.batch(once=...)`, and it happens once.
    """

    deadline_s: float | None = None
    attempt: int = 1
    traceparent: str | None = None
    tracestate: str | None = None
    step: str | None = None


class Running:
    """What runs in this worker's plain loop: a module-wide place, because setting it is all that a call pays.

    Attributes:
        calls: The call, or the calls of the group, whose handler runs now; none outside of a handler.
        received_s: When the worker read them, monotonic clock, seconds: their time runs from there.
    """

    __slots__ = ("calls", "received_s")

    def __init__(self, calls: Frame | Sequence[Frame] | None = None, received_s: float = 0.0) -> None:
        self.calls = calls
        self.received_s = received_s


PLAIN = Running()
TASK: ContextVar[Running] = ContextVar("skerry_running")
STEP: ContextVar[str | None] = ContextVar("skerry_step", default=None)  # the one that a fused call is at


def context() -> Context:
    """Return what is known of the call that the running handler answers.

    Raises:
        ConfigError: no handler of Skerry is running here: the code was called directly, or outlived its call.
    """
    running = TASK.get(PLAIN)
    calls = running.calls
    if calls is None:
        raise ConfigError("skerry.context() is known only inside a call that a worker answers: nothing is called here")
    frames = [calls] if isinstance(calls, Frame) else calls
    limits = [frame.time for frame in frames if frame.time]
    elapsed_s = time.monotonic() - running.received_s
    first = frames[0].meta
    return Context(
        deadline_s=max(0.0, min(limits) / 1000 - elapsed_s) if limits else None,
        attempt=max(frame.meta.get("attempt", 1) for frame in frames),
        traceparent=first.get("traceparent"),
        tracestate=first.get("tracestate"),
        step=STEP.get() or first.get("step"),
    )
