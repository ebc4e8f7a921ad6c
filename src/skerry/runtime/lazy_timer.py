"""A timer that is put off often and goes off rarely."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

CLOCK_STEP_S = 0.002  # the loop's clock has steps of 1 ms


class LazyTimer:
    """Calls back once, when the time it was armed for last is over.

    Putting it off only notes the new time. The loop's own timer goes off when it was first set for, sees that it is too
    early and is set anew: that costs less than to cancel and set one for each request.

    Args:
        on_time: Called when the time is over.
    """

    __slots__ = ("_handle", "_handle_s", "_loop", "_on_time", "due_s")

    def __init__(self, on_time: Callable[[], None]) -> None:
        self.due_s = math.inf  # by the loop's clock
        self._loop = asyncio.get_running_loop()
        self._on_time = on_time
        self._handle: asyncio.TimerHandle | None = None
        self._handle_s = math.inf

    def arm(self, seconds: float) -> None:
        """Call back after so long, instead of when it was armed for before."""
        self.due_s = due_s = self._loop.time() + seconds
        if due_s < self._handle_s:
            self.cancel()
            self._set(due_s)
            self.due_s = due_s

    def rest(self) -> None:
        """Do not call back until armed again."""
        self.due_s = math.inf

    def cancel(self) -> None:
        """Do not call back, and leave nothing in the loop."""
        self.due_s = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._handle_s = None, math.inf

    def _set(self, due_s: float) -> None:
        self._handle_s = due_s
        self._handle = self._loop.call_later(max(0.0, due_s - self._loop.time()), self._went_off)

    def _went_off(self) -> None:
        self._handle, self._handle_s = None, math.inf
        if self.due_s == math.inf:
            return
        if self.due_s > self._loop.time() + CLOCK_STEP_S:
            self._set(self.due_s)
            return
        self.due_s = math.inf
        self._on_time()
