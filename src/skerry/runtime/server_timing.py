"""What a caller's time was spent on, in a header of the answer, for callers that ask.

Source: W3C Server Timing. Durations are milliseconds: ``total`` from the whole request's arrival to the answer,
``queue`` without what is ``start``, ``start`` for the start of the worker that the request waited for, ``handler``.
"""

from __future__ import annotations

from collections.abc import Iterable

from skerry.runtime.call import Call
from skerry.runtime.frames import Frame

Start = tuple[float, float]
"""When a worker was asked for and when it was ready, readings of the monotonic clock, seconds."""


def server_timing(call: Call, answer: Frame, starts: Iterable[Start], now_s: float) -> str:
    """Return the header's value for a call that a worker has answered.

    Args:
        call: The call.
        answer: Its answer.
        starts: Starts of the function's workers, in any order.
        now_s: Now, by the monotonic clock.
    """
    waited_s = max(0.0, call.started_s - call.enqueued_s)
    start_s = min(waited_s, waited_for_start_s(call.enqueued_s, call.started_s, starts))
    parts = {
        "total": now_s - call.enqueued_s,
        "queue": waited_s - start_s,
        "start": start_s,
        "handler": answer.time * call.together / 1e6,
    }
    return ", ".join(f"{name};dur={value * 1000:.3f}" for name, value in parts.items())


def waited_for_start_s(enqueued_s: float, started_s: float, starts: Iterable[Start]) -> float:
    """Return how much of the wait went into the start of the worker that ended it, in seconds.

    Args:
        enqueued_s: When the call came.
        started_s: When a worker was given it.
        starts: Starts of workers; of those that ended during the wait, the last one counts.
    """
    during = [start for start in starts if enqueued_s < start[1] <= started_s]
    if not during:
        return 0.0
    began_s, ended_s = max(during, key=lambda start: start[1])
    return ended_s - max(began_s, enqueued_s)
