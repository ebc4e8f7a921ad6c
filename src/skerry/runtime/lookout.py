"""Looking for an answer instead of going to sleep: being woken takes longer than many handlers run."""

from __future__ import annotations

import asyncio
import os
import time

from skerry.runtime.call import Port

NEAR_S = 300e-6  # longest service for which looking is tried: looking shortens it, for nobody has to be woken
LOOK_S = 120e-6  # longest look
NEXT_S = 100e-6  # longest look for the next call
YIELD_S = 50e-6  # who gives way for longer has given way to somebody who calculates
LONELY = 8  # calls in a row that found nobody else there: before that, others are likely to follow at once
LONELIER = 64  # the same, before the loop stays awake for the next one
WORTH_IT_RATIO = 0.5  # share of the looks that must succeed
GAIN = 1 / 16  # weight of one look in that share
FORGIVENESS = 0.0005  # what it rises by with each call that might have been looked for, so that it is tried again


class Lookout:
    """Decides when a front looks for the answer to the only call in its hands.

    It pays where the function answers soon and one caller waits for each answer before it asks again. While
    others are there, the loop has better things to do. After an answer that was found, the loop stays awake for a
    moment for the next call.

    Args:
        loop: The front's.
    """

    __slots__ = ("_awake", "_awake_until_s", "_loop", "_luck", "_next_luck", "_seen", "alone")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.alone = 0  # calls in a row that found no other in the system; set to 0 by one that does
        self._loop = loop
        self._luck = 1.0  # smoothed share of the looks that have found an answer
        self._next_luck = 1.0  # and of those that have found the next call
        self._awake = False
        self._awake_until_s = 0.0
        self._seen = 0  # what `alone` was at the last answer

    def is_worth_it(self, service_s: float | None) -> bool:
        """Whether to look for the answer to a call that has just come and found no other.

        Args:
            service_s: Smoothed seconds that a worker takes for a call, none if unknown.
        """
        self.alone += 1
        if self.alone <= LONELY or service_s is None or service_s > NEAR_S:
            return False
        if self._luck < WORTH_IT_RATIO:
            self._luck += FORGIVENESS
            return False
        return True

    def look(self, port: Port) -> None:
        """Look for the answer, and remember whether it came."""
        if port.poll(LOOK_S):
            self._luck += (1.0 - self._luck) * GAIN
            self._stay_awake()
        else:
            self._luck -= self._luck * GAIN

    # Inside

    def _stay_awake(self) -> None:
        """Keep the loop from sleeping until the next call comes, if it comes soon."""
        if self.alone < LONELIER:
            return
        if self._next_luck < WORTH_IT_RATIO:
            self._next_luck += FORGIVENESS
            return
        self._seen = self.alone
        self._awake_until_s = time.monotonic() + NEXT_S
        if self._awake:  # the last look has found this call
            self._next_luck += (1.0 - self._next_luck) * GAIN
        else:
            self._awake = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Let the loop look at its connections once more."""
        began_s = time.monotonic()
        if self.alone == self._seen and began_s < self._awake_until_s:
            os.sched_yield()  # whoever else wants this processor has it
            if time.monotonic() - began_s < YIELD_S:
                self._loop.call_soon(self._turn)
                return
            self._next_luck /= 2
        self._awake = False
        if self.alone == self._seen:
            self._next_luck -= self._next_luck * GAIN
