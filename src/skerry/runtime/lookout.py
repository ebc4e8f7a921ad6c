"""Looking for an answer instead of going to sleep: being woken takes longer than many handlers run."""

from __future__ import annotations

from skerry.runtime.call import Port

NEAR_S = 300e-6  # longest service for which looking is tried: looking shortens it, for nobody has to be woken
LOOK_S = 120e-6  # longest look
LONELY = 8  # calls in a row that found nobody else there: before that, others are likely to follow at once
WORTH_IT_RATIO = 0.5  # share of the looks that must succeed
GAIN = 1 / 16  # weight of one look in that share
FORGIVENESS = 0.0005  # what it rises by with each call that might have been looked for, so that it is tried again


class Lookout:
    """Decides when a front looks for the answer to the only call in its hands.

    It pays where the function answers soon and one caller waits for each answer before it asks again. While
    others are there, the loop has better things to do.
    """

    __slots__ = ("_luck", "alone")

    def __init__(self) -> None:
        self.alone = 0  # calls in a row that found no other in the system; set to 0 by one that does
        self._luck = 1.0  # smoothed share of the looks that have found an answer

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
        self._luck += (port.poll(LOOK_S) - self._luck) * GAIN
