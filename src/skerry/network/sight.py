"""Whether the loop still sees: what is made of a sensor that fails, and of one that works again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# A sensor that has failed works again when it has not failed for so long: one that fails now and then is told once.
SETTLED_S = 2.0
FIRST_PAUSE_S = 0.01
_DOUBLED = 10


@dataclass(slots=True)
class Sight:
    """What has become of the latest calls of a sensor.

    Attributes:
        failures: How many have failed since it worked.
        in_a_row: How many of these one after the other, the latest included.
        failed_s: When the latest one failed, seconds on the loop's clock.
        kind: What it raised.
    """

    failures: int = 0
    in_a_row: int = 0
    failed_s: float = 0.0
    kind: type[Exception] | None = None

    def failed(self, error: Exception, now_s: float) -> bool:
        """Note that a call has failed; return whether that is news."""
        is_news = not self.failures or type(error) is not self.kind
        self.failures += 1
        self.in_a_row += 1
        self.failed_s, self.kind = now_s, type(error)
        return is_news

    def pause_s(self, most_s: float) -> float:
        """Return how long to wait before the next call: longer with each that fails, up to so long."""
        return min(most_s, FIRST_PAUSE_S * 2.0 ** min(self.in_a_row - 1, _DOUBLED))

    def worked(self, now_s: float) -> int:
        """Note that a call has worked; return how many had failed, if it works again, else 0."""
        self.in_a_row = 0
        if not self.failures or now_s - self.failed_s < SETTLED_S:
            return 0
        failures, self.failures = self.failures, 0
        return failures
