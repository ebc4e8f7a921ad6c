"""A federated run as a person watches it: what the terminal shows of what has happened so far."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from skerry.cli.federate.lost import describe_loss, name_place
from skerry.cli.load.view import sparkline
from skerry.cli.units import duration, size
from skerry.cli.words import words
from skerry.learn.federated.plan import Plan
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.results import RoundResult

_HISTORY = 60
_BAR = 30  # letters
_LATEST = 10  # rounds that the time left is estimated from
_MOST_NAMES = 5  # of clients in a line
_MOST_CLIENTS = 20  # rows of the table: what is more does not fit on a terminal


class View:
    """What is shown, made of events.

    Args:
        plan: Of the run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._began_s = time.monotonic()
        self._round = self._done = 0
        self._scores: list[float] = []
        self._clients: dict[str, dict[str, Any]] = {name: {"state": ""} for name in plan.names}
        self._bytes = {"bytes_up": 0, "bytes_down": 0}
        self._took_s: deque[float] = deque(maxlen=_LATEST)
        self._round_began_s = 0.0
        self._phase = "starting"
        self._lost: dict[str | None, str] = {}  # by place

    def recall(self, rounds: Iterable[RoundResult]) -> None:
        """Take in the rounds that ended before this coordinator began."""
        for result in rounds:
            self._round = self._done = result.round
            self._took_s.append(result.ended_at - result.started_at)
            self._bytes["bytes_up"] += result.bytes_up
            self._bytes["bytes_down"] += result.bytes_down
            score = result.metrics.get(self._plan.best_metric)
            self._scores += [] if score is None else [score]
            for name, found in result.evaluations.items():
                self._clients.setdefault(name, {"state": ""})["score"] = found.metrics.get(self._plan.best_metric)

    def add(self, event: Event) -> None:
        """Take in what has happened."""
        self._round = max(self._round, event.round)
        facts = event.facts
        if event.kind == "round-started":
            self._phase, self._round_began_s = "training", event.at_s
            for name, client in self._clients.items():
                state = "answered before" if name in facts["answered"] else "trains"
                client["state"] = state if name in facts["chosen"] else ""
        elif event.kind in ("replied", "late", "missed", "refused") and event.client in self._clients:
            self._clients[event.client].update(_of_client(event))
        elif event.kind in ("unreachable", "back"):
            self._add_loss(event)
        elif event.kind == "aggregated":
            self._phase = "evaluating"
        elif event.kind == "phase-ended":
            self._phase = f"summing in secret: {facts['phase']}"
        elif event.kind == "evaluated":
            score = facts["metrics"].get(self._plan.best_metric)
            self._scores += [] if score is None else [score]
            for name, metrics in facts["clients"].items():
                self._clients.setdefault(name, {"state": ""})["score"] = metrics.get(self._plan.best_metric)
            for name, why in facts["failed"].items():
                self._clients.setdefault(name, {"state": ""})["state"] = f"did not evaluate: {why}"[:60]
        elif event.kind == "round-ended":
            self._took_s.append(event.at_s - self._round_began_s)
            self._done = event.round
            for key in self._bytes:
                self._bytes[key] += facts[key]
        else:
            self._phase = event.kind

    def _add_loss(self, event: Event) -> None:
        if event.kind == "unreachable":
            self._lost[event.facts["site"]] = describe_loss(event, self._plan)
        else:
            self._lost.pop(event.facts["site"], None)

    def draw(self) -> Group:
        """Return the picture of this moment."""
        title = Text.assemble(
            (self._plan.job, "bold"),
            f"  round {self._round} of {self._plan.rounds}  {duration(time.monotonic() - self._began_s)}  ",
            (self._phase, "dim"),
        )
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(no_wrap=True)
        last = f"{self._scores[-1]:.4f}" if self._scores else "-"
        grid.add_row(
            words(self._plan.best_metric), Text(f"{last}  {sparkline(self._scores[-_HISTORY:])}", style="cyan")
        )
        grid.add_row("rounds", Text.assemble(self._bar(), f"  {self._done} done", (self._left(), "dim")))
        grid.add_row("models", f"{size(self._bytes['bytes_down'])} down   {size(self._bytes['bytes_up'])} up")
        lost = [words(line, style="yellow") for line in list(self._lost.values())]
        return Group(title, *lost, grid, self._table())

    def _bar(self) -> str:
        full = round(_BAR * self._done / self._plan.rounds)
        return "█" * full + "░" * (_BAR - full)

    def _left(self) -> str:
        """Return how long the rest will take if its rounds are as long as the latest."""
        left = self._plan.rounds - self._done
        if not self._took_s or not left:
            return ""
        return f"   about {duration(statistics.median(self._took_s) * left)} left"

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2))
        for column in ("CLIENT", "STATE", "EXAMPLES", "TIME", self._plan.best_metric.upper()):
            table.add_column(words(column), no_wrap=True, style="" if column == "CLIENT" else "dim")
        for name, client in list(self._clients.items())[:_MOST_CLIENTS]:
            took_s, score = client.get("duration_s"), client.get("score")
            table.add_row(
                words(name),
                words(client["state"]),
                words(client.get("examples", "")),
                "" if took_s is None else duration(took_s),
                "" if score is None else f"{score:.4f}",
            )
        if len(self._clients) > _MOST_CLIENTS:
            table.add_row(f"and {len(self._clients) - _MOST_CLIENTS} more")
        return table


def describe(event: Event, plan: Plan) -> str | None:
    """Return a line about an event, for where nothing can be drawn; none for what needs no line."""
    if event.kind in ("resumed", "paused", "cancelled"):
        return f"{event.kind} after round {event.round} of {plan.rounds}"
    return "\n".join(f"{event.round}/{plan.rounds}  {line}" for line in _lines(event, plan)) or None


def _lines(event: Event, plan: Plan) -> list[str]:
    """Return what is said of a round's event."""
    facts = event.facts
    if event.kind == "evaluated":
        found = "  ".join(f"{name} {value:.4f}" for name, value in facts["metrics"].items())
        failed = [f"{_names(clients)} did not evaluate: {why}" for why, clients in _by_reason(facts["failed"])]
        return [found] * bool(found) + failed
    if event.kind == "round-ended":
        return [] if facts["metrics"] else [f"{facts['replies']} replies, no metrics"]
    if event.kind == "unreachable":
        return [describe_loss(event, plan)]
    if event.kind == "back":
        return [f"{name_place(event)} answers again"]
    return [f"{event.client} {event.kind}: {facts['reason']}"] if event.kind in ("missed", "refused") else []


def _by_reason(failed: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the reasons, each with those who gave it: mostly all have the same."""
    found: dict[str, list[str]] = {}
    for client, why in sorted(failed.items()):
        found.setdefault(why, []).append(client)
    return list(found.items())


def _names(clients: list[str]) -> str:
    more = len(clients) - _MOST_NAMES
    return ", ".join(clients[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _of_client(event: Event) -> Mapping[str, Any]:
    if event.kind in ("replied", "late"):
        state = "answered" if event.kind == "replied" else f"answered round {event.facts['of_round']} late"
        return {"state": state, "examples": event.facts["examples"], "duration_s": event.facts["duration_s"]}
    return {"state": f"{event.kind}: {event.facts['reason']}"[:60]}
