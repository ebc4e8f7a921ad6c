"""When a round ends: as soon as waiting longer would only be waiting for those who are late anyway.

Each client's own history says when it may be expected. The round waits for the clients that are expected by a
*limit*, which is a little more than the median client of the round needs; whoever is slower, or did not answer last
time, works on and its update is used in a later round. Nothing here reads a clock.

Source: deadlines from the clients' expected durations as in FedCS (Nishio, Yonetani: Client Selection for Federated
Learning with Heterogeneous Resources in Mobile Edge, ICC 2019), and a quorum as in Bonawitz et al.: Towards Federated
Learning at Scale, MLSys 2019. Differs in that nobody tells the coordinator resources: durations are observed, by
median and median absolute deviation, so that one slow round of a client changes little.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from skerry.errors import SpecError
from skerry.learn.federated.policies.history import Histories, History

DEVIATIONS = 1.4826  # standard deviations in a median absolute deviation, where durations are normal
SPREADS = 3.0  # standard deviations that a client may be later than its median before it counts as late
SHORTEST_PATIENCE_S = 0.5  # beyond what is expected: a machine that is busy for a moment is no late client
SPREAD_FLOOR_RATIO = 0.05  # least spread, of the median: a few equal durations do not mean that there is none

TICK_S = 1e-4  # what is nearer than this is now: the sum of a begin and a wait may be a rounding short of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a round waits.

    Args:
        quorum_ratio: Share of the chosen clients that must have answered before a round ends early, in (0, 1].
        deadline_s: Longest that a round lasts, in seconds.
        slack_ratio: How much longer than its median client a round may last to wait for slower ones; at least 1.
        first_slack_ratio: The same for clients that never answered: their first task may have to build and load.
        late_rounds: Rounds after which an answer that did not come is given up.

    Raises:
        SpecError: a value is out of range.

    Example:
        ``Patience(quorum_ratio=0.8, deadline_s=120)``
    """

    quorum_ratio: float = 0.5
    deadline_s: float = 600.0
    slack_ratio: float = 1.2
    first_slack_ratio: float = 2.0
    late_rounds: int = 20

    def __post_init__(self) -> None:
        checks = (
            ("quorum_ratio", self.quorum_ratio, 0 < self.quorum_ratio <= 1, "above 0 and at most 1"),
            ("deadline_s", self.deadline_s, 0 < self.deadline_s < math.inf, "above 0 and finite"),
            ("slack_ratio", self.slack_ratio, 1 <= self.slack_ratio < math.inf, "at least 1"),
            ("first_slack_ratio", self.first_slack_ratio, 1 <= self.first_slack_ratio < math.inf, "at least 1"),
            ("late_rounds", self.late_rounds, self.late_rounds >= 0, "at least 0"),
        )
        for name, value, fits, range_text in checks:
            if not fits:
                raise SpecError(f"{name} is {value}; it must be {range_text}", field=name)


class Reason(StrEnum):
    """What settled a decision."""

    ALL = "every client that was asked has answered or failed"
    REST_LATE = "those that have not answered are not expected in time"
    LONGEST = "the longest time of a round is over"
    EXPECTED = "clients are expected"
    QUORUM = "too few have answered"
    LOST = "nobody has answered, and nobody will in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a round ends now.

    Args:
        end: Whether it does; never with nothing answered.
        wait_s: When to ask again if nothing happens before, in seconds from now; 0 where waiting is to no end.
        reason: What settled it. `Reason.LOST` does not end the round: the caller asks other clients, or the same again.
    """

    end: bool
    wait_s: float
    reason: Reason


def expected_s(history: History) -> float | None:
    """Return the median of a client's latest durations, in seconds; none if it never answered."""
    return statistics.median(history.durations_s) if history.durations_s else None


def patience_s(history: History) -> float | None:
    """Return after how many seconds a client counts as late, by its own history; none if it never answered."""
    if not history.durations_s:
        return None
    middle_s = statistics.median(history.durations_s)
    deviation_s = DEVIATIONS * statistics.median(abs(duration_s - middle_s) for duration_s in history.durations_s)
    return middle_s + max(SPREADS * max(deviation_s, SPREAD_FLOOR_RATIO * middle_s), SHORTEST_PATIENCE_S)


def limit_s(chosen: Collection[str], histories: Histories, settings: Patience) -> float:
    """Return how long a round waits for clients that are slower than most, in seconds.

    That is ``slack_ratio`` times what the median of the chosen clients needs, or the slowest of a quorum where that is
    more; ``deadline_s`` at most, and where nothing is known. It never falls when a duration of a history grows.
    """
    known = sorted(expected for client in chosen if (expected := expected_s(histories[client])) is not None)
    if not known:
        return settings.deadline_s
    needed = min(quorum(len(chosen), settings), len(known))
    middle_s = max(statistics.median(known), known[needed - 1])
    return min(max(settings.slack_ratio * middle_s, middle_s + SHORTEST_PATIENCE_S), settings.deadline_s)


def quorum(count: int, settings: Patience) -> int:
    """Return how many of ``count`` clients must have answered before a round ends early; at least 1."""
    return max(1, math.ceil(settings.quorum_ratio * count - 1e-9))


def decide(
    now_s: float,
    began_s: float,
    *,
    chosen: Collection[str],
    answered: Collection[str],
    in_flight: Collection[str],
    histories: Histories,
    settings: Patience,
) -> Decision:
    """Return whether a round ends now, or until when it waits.

    Args:
        now_s: Reading of a monotonic clock, in seconds.
        began_s: The same when the clients were asked.
        chosen: Clients that were asked in this round.
        answered: Those of them that have answered.
        in_flight: Those of them that may still answer; the others have failed.
        histories: Of all clients; they may tell of this round's answers already, and a first round ends sooner by that.
        settings: How long a round waits.

    Returns:
        The decision. A round ends with less than the quorum only after ``deadline_s``, or where so many have failed
        that there can be none; it is then a quorum of the others.
    """
    passed_s = now_s - began_s
    left_s = settings.deadline_s - passed_s
    if not in_flight:
        return _ended(answered, Reason.ALL)
    if left_s <= TICK_S:
        return _ended(answered, Reason.LONGEST)
    able = len(answered) + len(in_flight)
    needed = quorum(len(chosen), settings)
    if len(answered) < (needed if needed <= able else quorum(able, settings)):
        return Decision(end=False, wait_s=left_s, reason=Reason.QUORUM)
    round_s = limit_s(chosen, histories, settings)
    until_s = max(_holds_until_s(histories[client], round_s, settings) for client in in_flight)
    if passed_s >= until_s - TICK_S:
        return _ended(answered, Reason.REST_LATE)
    return Decision(end=False, wait_s=min(until_s - passed_s, left_s), reason=Reason.EXPECTED)


def abandoned(histories: Histories, round: int, settings: Patience) -> tuple[str, ...]:
    """Return the clients whose answer is given up in this round, so that they can be asked anew; sorted."""
    return tuple(
        sorted(
            client
            for client, history in histories.items()
            if history.busy and round - history.open_round > settings.late_rounds
        )
    )


def _ended(answered: Collection[str], reason: Reason) -> Decision:
    return (
        Decision(end=True, wait_s=0.0, reason=reason)
        if answered
        else Decision(end=False, wait_s=0.0, reason=Reason.LOST)
    )


def _holds_until_s(history: History, round_s: float, settings: Patience) -> float:
    """Return until when a round waits for this client, in seconds from its begin."""
    if history.missed_in_row:
        return 0.0
    own_s = patience_s(history)
    if own_s is None:
        return round_s / settings.slack_ratio * settings.first_slack_ratio
    if (expected_s(history) or 0.0) > round_s:
        return 0.0
    return min(own_s, round_s)
