"""How many calls are in the system, and how fast they come and go."""

from __future__ import annotations

PAUSE_S = 1.0  # time without a call that counts as a pause
RATE_MEMORY_S = 2.0  # seconds after which an answer counts for a third in the rate of answers


class Load:
    """Counts the calls of one function.

    Args:
        now_s: Reading of a monotonic clock, seconds; so are all others.
    """

    def __init__(self, now_s: float) -> None:
        self.in_system = 0  # waiting and running
        self.arrived = 0
        self.answered = 0
        self._area_s = 0.0  # integral of in_system over time since it was taken last
        self._area_at_s = self._taken_at_s = self._rate_taken_at_s = self._marked_at_s = now_s
        self._arrived_before = 0
        self._answered_before = 0
        self._answer_rate = 0.0

    def entered(self, now_s: float) -> None:
        """Count a call that has come."""
        if self.in_system:
            self._area_s += self.in_system * (now_s - self._area_at_s)
        elif now_s - self._area_at_s > PAUSE_S:
            self._marked_at_s += now_s - self._area_at_s  # when nobody asked says nothing of the rate of answers
        self._area_at_s = now_s
        self.in_system += 1
        self.arrived += 1

    def left(self, now_s: float, calls: int = 1) -> None:
        """Count calls that are over."""
        self._area_s += self.in_system * (now_s - self._area_at_s)
        self._area_at_s = now_s
        self.in_system -= calls
        self.answered += calls

    def take(self, now_s: float) -> float:
        """Return the average number of calls in the system since the last time it was taken."""
        span_s = now_s - self._taken_at_s
        self._area_s += self.in_system * (now_s - self._area_at_s)
        average = self._area_s / span_s if span_s > 0 else float(self.in_system)
        self._area_s, self._area_at_s, self._taken_at_s = 0.0, now_s, now_s
        return average

    def take_rate(self, now_s: float) -> float:
        """Return the calls per second that have come since the last time it was taken."""
        span_s = now_s - self._rate_taken_at_s
        rate = (self.arrived - self._arrived_before) / span_s if span_s > 0 else 0.0
        self._arrived_before, self._rate_taken_at_s = self.arrived, now_s
        return rate

    def mark(self, now_s: float) -> None:
        """Take the answers since the last mark into the rate of answers; called several times a second under load."""
        span_s = now_s - self._marked_at_s
        if span_s <= 0:
            return
        rate = (self.answered - self._answered_before) / span_s
        share = 1.0 if span_s > RATE_MEMORY_S else span_s / RATE_MEMORY_S
        self._answer_rate += share * (rate - self._answer_rate)
        self._answered_before, self._marked_at_s = self.answered, now_s

    def answer_rate(self) -> float:
        """Return the smoothed number of answers per second; 0 while unknown."""
        return self._answer_rate
