"""What a call that a handler makes takes over from the call that the handler answers: its trace and its time."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

from skerry.errors import ConfigError, DeadlineExceededError
from skerry.platforms import CallOptions

_CONTEXT_MODULE = "skerry.runtime.context"


@dataclass(frozen=True, slots=True)
class Inherited:
    """What goes on from the call that is being answered to those made for it.

    Args:
        ends_at: Its deadline on the monotonic clock, seconds; none without one.
        traceparent: Its ``traceparent``.
        tracestate: Its ``tracestate``.
    """

    ends_at: float | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def apply(self, asked: CallOptions) -> CallOptions:
        """Return the options of a call that is made now; a timeout of its own wins over the inherited deadline.

        Raises:
            DeadlineExceededError: the deadline has passed, so nobody waits for what the call would return.
        """
        if self is NOTHING:
            return asked
        traced = replace(asked, traceparent=self.traceparent, tracestate=self.tracestate)
        if self.ends_at is None or asked.timeout_s is not None:
            return traced
        left_s = self.ends_at - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceededError("the deadline of the call that is being answered has passed")
        return replace(traced, timeout_s=left_s)


NOTHING = Inherited()


def inherited() -> Inherited:
    """Return what the call that is being answered hands on; nothing outside of a handler."""
    # Only a worker has this module, and only there can a call be answered: other programs need not import it.
    if _CONTEXT_MODULE not in sys.modules:
        return NOTHING
    from skerry.runtime.context import context

    try:
        current = context()
    except ConfigError:
        return NOTHING
    ends_at = None if current.deadline_s is None else time.monotonic() + current.deadline_s
    return Inherited(ends_at, current.traceparent, current.tracestate)
