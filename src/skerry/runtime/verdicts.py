"""What callers are told of calls that the queue or the clock has ended."""

from __future__ import annotations

from skerry.errors import DeadlineExceededError, HandlerTimeoutError, WorkerLostError
from skerry.runtime.call import Call
from skerry.spec import FunctionSpec


def lost(spec: FunctionSpec, call: Call, how: str) -> WorkerLostError:
    """Say that the worker died which ran the call, and how."""
    tried = {1: "once", 2: "twice"}.get(call.attempts, f"{call.attempts} times")
    again = ""
    if not spec.idempotent and call.attempts <= 1:  # more are of an event or a job, which is tried again all the same
        again = "; it is not marked idempotent, so it was not run again"
    look = f"; skerry logs {spec.name} shows what it said last"
    return WorkerLostError(
        f"function {spec.name!r}: the worker died during the request ({how}; tried {tried}){again}{look}"
    )


def over_time(spec: FunctionSpec, *, waiting: int) -> HandlerTimeoutError:
    """Say that the call ran longer than the function's `timeout`.

    Args:
        spec: The function's options.
        waiting: Calls that waited for a worker while all of them were taken.
    """
    # Whether it waited for a call of its own is not known here: the log has the line that it was at.
    hint = ""
    if waiting:
        hint = (
            f"; {waiting} more waited for a worker: if the function calls itself, each such call takes one (scale.max)"
        )
    return HandlerTimeoutError(
        f"function {spec.name!r} ran longer than its timeout of {spec.timeout}; the worker was replaced{hint}"
    )


def waited_too_long(spec: FunctionSpec) -> DeadlineExceededError:
    """Say that the call has waited as long as it might have run."""
    return DeadlineExceededError(
        f"function {spec.name!r}: the request waited longer than {spec.timeout} for a worker and was not run",
        retry_after_s=1,
    )


def past_deadline(spec: FunctionSpec, *, ran: bool) -> DeadlineExceededError:
    """Say that the caller's own deadline has passed."""
    state = "while it ran; it was told to stop" if ran else "while it waited; it was not run"
    return DeadlineExceededError(
        f"function {spec.name!r}: the request's deadline passed {state}", ran=ran, retryable=not ran
    )
