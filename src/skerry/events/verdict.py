"""What becomes of an event that a function did not deal with: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from skerry.spec import Retry

# Of the answers below 500, those after which the same event may succeed. The others say that the event is wrong, and it
# is as wrong the next time. Source: Knative Eventing, delivery failures.
WORTH_A_RETRY = frozenset({404, 408, 409, 425, 429})
NOT_BEGUN = frozenset({429, 503})  # the function was too busy or did not start: no attempt was made
DEADLINE_STATUS = 504


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do with a delivery that has failed.

    Args:
        action: Give it to the function again, or make it a dead letter.
        pause_s: Until it is given again, seconds.
        attempts: Attempts so far that count.
        reason: Why it is dead, for people.
    """

    action: Literal["again", "dead"]
    attempts: int
    pause_s: float = 0.0
    reason: str = ""


def pause_s(retry: Retry, attempt: int, chance: float) -> float:
    """Return the pause before a retry, seconds.

    Args:
        retry: How it grows.
        attempt: Which retry it is, from 1.
        chance: A random number from 0 to 1.
    """
    doublings = min(attempt - 1, 60)  # beyond, every `max_delay` has long been reached
    grown = retry.delay_s * (attempt if retry.backoff == "linear" else 2.0**doublings)
    return min(grown, retry.max_delay_s) * (1 + retry.jitter * (2 * chance - 1))


def judge(
    retry: Retry, *, status: int, attempts: int, age_s: float, chance: float, wait_s: float | None = None
) -> Verdict:
    """Return what to do with an event that a function has answered with an error.

    Args:
        retry: The trigger's rules.
        status: The error's HTTP status.
        attempts: Earlier attempts that count.
        age_s: Time since the event was accepted, seconds.
        chance: A random number from 0 to 1.
        wait_s: What the answer asks to wait at least, seconds.
    """
    begun = status not in NOT_BEGUN
    made = attempts + begun
    if 400 <= status < 500 and status not in WORTH_A_RETRY:
        return Verdict(action="dead", attempts=made, reason="the function refuses it")
    if begun and made > retry.attempts:
        return Verdict(action="dead", attempts=made, reason=f"{made} attempts have failed")
    pause = max(pause_s(retry, max(1, made), chance), wait_s or 0.0)
    if retry.deadline_s is not None and age_s + pause > retry.deadline_s:
        return Verdict(action="dead", attempts=made, reason=f"its deadline of {retry.deadline} would pass")
    return Verdict(action="again", attempts=made, pause_s=pause)


def is_too_late(retry: Retry, age_s: float) -> bool:
    """Return whether an event is given to the function no more, whatever its attempts."""
    return retry.deadline_s is not None and age_s > retry.deadline_s
