"""Timers: an event at each moment of a schedule, for one trigger alone."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable

from skerry.payload import Event
from skerry.spec import Timer

TYPE = "dev.skerry.timer"
LONGEST_SLEEP_S = 30.0  # the clock may be set meanwhile


class Timetable:
    """Calls at each moment of a timer; needs a running event loop.

    Args:
        function: Whom the timer starts.
        timer: When.
        fire: Called with an event of the moment, whose id is the same whoever makes it.
    """

    def __init__(self, function: str, timer: Timer, fire: Callable[[Event], None]) -> None:
        self.timer = timer
        self._function = function
        self._fire = fire
        self._schedule = timer.schedule()
        self._handle: asyncio.TimerHandle | None = None
        self._next_s = self._schedule(time.time())
        self._sleep()

    def stop(self) -> None:
        """Call no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _sleep(self) -> None:
        if self._next_s is not None:
            pause_s = min(LONGEST_SLEEP_S, max(0.0, self._next_s - time.time()))
            self._handle = asyncio.get_running_loop().call_later(pause_s, self._wake)

    def _wake(self) -> None:
        now_s = time.time()
        moment_s = self._next_s
        if moment_s is not None and now_s >= moment_s:
            self._next_s = self._schedule(now_s)
            self._fire(timer_event(self._function, self.timer, moment_s))
        self._sleep()


def timer_event(function: str, timer: Timer, moment_s: float) -> Event:
    """Return the event of one moment: the same for everybody who makes it, so that it counts once."""
    moment = datetime.datetime.fromtimestamp(moment_s, datetime.UTC)
    schedule = timer.every or f"{timer.cron} {timer.zone}"
    return Event(
        type=TYPE,
        source=f"/skerry/timer/{function}",
        id=f"{schedule} {moment.isoformat()}",
        time=moment,
        subject=function,
        data={"schedule": schedule},
    )
