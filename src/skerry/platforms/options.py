"""What a caller asks of one call, beyond its arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skerry.errors import SpecError

MOST_URGENT, LEAST_URGENT = 0, 7
LONGEST_TIMEOUT_S = 86_400.0
LONGEST_WAIT_S = 60.0
LONGEST_GROUP = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a platform is to treat one call.

    Args:
        idempotent: Whether the request may run twice, so that it may be sent again when its answer was lost.
        timeout_s: Time until nobody waits for the answer any more, seconds, above 0 and at most a day; a call that has
            not begun by then is not run. None waits for as long as the platform does.
        priority: 0 (most urgent) to 7; none means 3 (RFC 9218).
        group: Only calls of the same group share a batch: printable ASCII, at most 256 characters.
        weight: What the call weighs in its batch, above 0; none means what the function's ``batch`` says.
        traceparent: The trace that the call belongs to (W3C Trace Context).
        tracestate: What goes with the trace.
        wait_s: Of a job: how long the platform may wait for its end before it answers, seconds, above 0 and at most a
            minute; one exchange then brings a short one's result. None answers once the job is accepted.
        app: The app that the function is part of: an engine refuses the call where another app has a function of that
            name. None calls whichever function is there.
        timing: Whether the answer is to say what the time was spent on, in its header ``server-timing``.

    Raises:
        SpecError: a value is out of range.
    """

    idempotent: bool = False
    timeout_s: float | None = None
    priority: int | None = None
    group: str | None = None
    weight: float | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    app: str | None = None
    timing: bool = False
    wait_s: float | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not 0 < self.timeout_s <= LONGEST_TIMEOUT_S:
            raise SpecError(f"timeout = {self.timeout_s:g} s: must be above 0 and at most a day", field="timeout")
        if self.wait_s is not None and not 0 < self.wait_s <= LONGEST_WAIT_S:
            raise SpecError(f"wait = {self.wait_s:g} s: must be above 0 and at most a minute", field="wait")
        if self.priority is not None and (
            type(self.priority) is not int or not MOST_URGENT <= self.priority <= LEAST_URGENT
        ):
            raise SpecError(
                f"priority = {self.priority!r}: write a whole number from 0 (most urgent) to 7", field="priority"
            )
        if self.weight is not None and not _is_weight(self.weight):
            raise SpecError(f"weight = {self.weight!r}: write a number above 0", field="weight")
        if self.group is not None and not _is_group(self.group):
            raise SpecError(
                f"group = {self.group!r:.100}: write 1 to {LONGEST_GROUP} printable ASCII characters, without space at "
                "either end",
                field="group",
            )

    def headers(self, *, left_s: float | None = None) -> dict[str, str]:
        """Return the request headers that carry these options.

        Args:
            left_s: What is left of ``timeout_s``, seconds; none sends no deadline.
        """
        values = {
            # Rounded up: 0 would mean no deadline at all.
            "Skerry-Timeout-Ms": None if left_s is None else max(1, math.ceil(left_s * 1000)),
            "Priority": None if self.priority is None else f"u={self.priority}",
            "Skerry-Group": self.group,
            "Skerry-Weight": None if self.weight is None else f"{float(self.weight)!r}",
            "Traceparent": self.traceparent,
            "Tracestate": self.tracestate,
            "Skerry-App": self.app,
            "Skerry-Timing": "1" if self.timing else None,
        }
        return {name: str(value) for name, value in values.items() if value is not None}


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0


def _is_group(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_GROUP
        and value.isascii()
        and value.isprintable()
        and value == value.strip()
    )
