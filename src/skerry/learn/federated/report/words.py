"""What a run means in plain words."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence

from skerry.learn.federated.plan import SERVER
from skerry.learn.federated.record.run_view import RunView
from skerry.learn.federated.report.metrics import say_metric
from skerry.learn.federated.report.tallies import Tally, client_values, phases
from skerry.pages.words import say

STATES = {
    "running": "The run goes on; this is how far it was when the page was written.",
    "finished": "The run has finished.",
    "paused": "The run is paused.",
    "cancelled": "The run was cancelled.",
    "failed": "The run has failed.",
    "interrupted": "The run was interrupted: its coordinator has ended without a word.",
}
MANY = 4  # clients that are named one by one


def lead(view: RunView) -> list[str]:
    """Return what stands below the title: the state, and the extent of the run."""
    plan = view.plan
    state = STATES[view.state] + (f" {view.reason[:1].upper()}{view.reason[1:]}." if view.reason else "")
    if view.state in ("failed", "paused", "interrupted", "cancelled") and len(view.rounds) < plan.rounds:
        state += f" It goes on with: skerry federate resume {view.folder}"
    begun = "" if view.started_at is None else f" Begun {_date(view.started_at)}"
    if view.started_at is not None and view.ended_at is not None:
        begun += f", last heard of {_date(view.ended_at)}."
    extent = f"{len(view.rounds)} of {plan.rounds} rounds, {_count(len(plan.members), 'client')}.{begun}"
    return [state, extent]


def conclude(view: RunView, tallies: Sequence[Tally]) -> list[str]:
    """Return what a run means, one sentence or two each."""
    warned = [f"{view.warning[:1].upper()}{view.warning[1:]}."] if view.warning else []
    return [
        *_quality(view),
        *warned,
        *_privacy(view),
        *_time(view),
        *_traffic(view),
        *_clients(tallies),
        *_refusals(view),
    ]


def _quality(view: RunView) -> Iterator[str]:
    metric = view.plan.best_metric
    scored = [(result, score) for result in view.rounds if (score := view.score(result)) is not None]
    if not scored:
        yield "No round has evaluated the global model."
        return
    last, score = scored[-1]
    where = "on the server's data" if SERVER in last.evaluations else "on the clients' own data, weighted by examples"
    said = f"After round {last.round} the global model has {metric} {say_metric(metric, score)} {where}"
    best = view.best
    if best is not None and best[0] != last.round:
        said += f"; the best was {say_metric(metric, best[1])} after round {best[0]}"
    yield said + "."
    values = client_values(view, metric)
    if len(values) > 1:
        low, high = min(values, key=lambda c: values[c]), max(values, key=lambda c: values[c])
        yield (
            f"Of the clients, {low} has the lowest ({say_metric(metric, values[low])}) and {high} the highest "
            f"({say_metric(metric, values[high])})."
        )


def _privacy(view: RunView) -> Iterator[str]:
    if view.epsilon is not None:
        yield f"The run has cost epsilon {view.epsilon:.3g} at delta {view.plan.privacy_delta:g}."


def _time(view: RunView) -> Iterator[str]:
    if not view.rounds:
        return
    parts = [phases(result) for result in view.rounds]
    sums = {phase: sum(part[phase] for part in parts) for phase in parts[0]}
    whole = sum(sums.values())
    median = statistics.median(sum(part.values()) for part in parts)
    most = max(sums, key=lambda phase: sums[phase])
    share = f"; {100 * sums[most] / whole:.0f} % of the time was: {most}" if whole > 0 else ""
    if view.started_at is not None and (before_s := view.rounds[0].started_at - view.started_at) > median:
        yield f"Before the first round, it took {say(before_s, 's')} to get the model that the run begins with."
    yield f"A round took {say(median, 's')} in the median, all of them {say(whole, 's')}{share}."


def _traffic(view: RunView) -> Iterator[str]:
    if view.rounds:
        yield f"Clients were sent {say(view.bytes_down, 'bytes')} and sent back {say(view.bytes_up, 'bytes')}."


def _clients(tallies: Sequence[Tally]) -> Iterator[str]:
    missing = [tally for tally in tallies if tally.missed]
    if not missing:
        return
    if len(missing) > MANY:
        rounds = sum(tally.missed for tally in missing)
        yield f"{len(missing)} of {len(tallies)} clients missed rounds, {rounds} between them."
        return
    told = ", ".join(f"{tally.client} {tally.missed} of {tally.asked}" for tally in missing)
    yield f"Rounds that were missed: {told}."


def _refusals(view: RunView) -> Iterator[str]:
    refused = [(result.round, client, why) for result in view.rounds for client, why in result.refused]
    if refused:
        round, client, _ = refused[0]
        replies = "one reply was refused" if len(refused) == 1 else f"{len(refused)} replies were refused"
        yield f"{replies[:1].upper()}{replies[1:]}, the first in round {round}, of {client}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")


def _date(at_s: float) -> str:
    return time.strftime("%d %B %Y, %H:%M:%S", time.localtime(at_s))
