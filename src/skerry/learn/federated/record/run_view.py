"""A run as its folder shows it, to whoever looks: while it runs, afterwards, and after a crash."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import ValidationError

from skerry.errors import ConfigError
from skerry.learn.federated.plan import Plan
from skerry.learn.federated.record.events import Event
from skerry.learn.federated.record.record import EVENTS, LOCK, Request, read_checkpoint, read_plan, read_request
from skerry.learn.federated.record.results import RoundResult

RunState = Literal["running", "finished", "paused", "cancelled", "failed", "interrupted"]
_ENDS: dict[str, RunState] = {
    "finished": "finished",
    "paused": "paused",
    "cancelled": "cancelled",
    "failed": "failed",
}

_REASONS = 3  # of those who could not evaluate a model: mostly all have the same


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """What is known of a run.

    Args:
        folder: Of the run.
        plan: What it does.
        state: ``interrupted`` says that its coordinator has ended without a word.
        reason: Why it failed.
        requested: What a person has asked for, and the coordinator has not done yet.
        rounds: Those that have ended.
        events: Of the round that runs, or ran when the coordinator ended.
        lost: Of a run that runs, for each place that does not answer, the event that told so.
        started_at: Unix time, seconds; none before the first event.
        ended_at: When the last thing happened; Unix time, seconds.
    """

    folder: Path
    plan: Plan
    state: RunState
    reason: str
    requested: Request | None
    rounds: tuple[RoundResult, ...]
    events: tuple[Event, ...]
    started_at: float | None
    ended_at: float | None
    lost: tuple[Event, ...] = ()

    @property
    def bytes_up(self) -> int:
        """Of all updates, as they were sent."""
        return sum(result.bytes_up for result in self.rounds)

    @property
    def bytes_down(self) -> int:
        """Of all models, as they were sent."""
        return sum(result.bytes_down for result in self.rounds)

    @property
    def best(self) -> tuple[int, float] | None:
        """The round with the best value of the plan's metric, and that value; the first of equal ones."""
        found: tuple[int, float] | None = None
        for result in self.rounds:
            score = self.score(result)
            if score is not None and self.plan.is_better(score, None if found is None else found[1]):
                found = result.round, score
        return found

    @property
    def epsilon(self) -> float | None:
        """What the rounds so far have given away at most; none without noise."""
        return next((result.epsilon for result in reversed(self.rounds) if result.epsilon is not None), None)

    @property
    def warning(self) -> str:
        """What a person should know of the model though the run goes on; an empty text for nothing."""
        since: RoundResult | None = None
        for result in reversed([result for result in self.rounds if self.plan.evaluates(result.round)]):
            if any(found.examples for found in result.evaluations.values()):
                break
            since = result
        if since is None:
            return ""
        found = dict.fromkeys(since.evaluations, "it looked at no examples") | since.unevaluated
        reasons = "; ".join(f"{client}: {why}" for client, why in list(found.items())[:_REASONS])
        return f"no client could evaluate the model since round {since.round}" + (f": {reasons}" if reasons else "")

    def score(self, result: RoundResult) -> float | None:
        """Return a round's value of the plan's metric."""
        return result.score(self.plan.best_metric)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "folder": str(self.folder),
            "job": self.plan.job,
            "state": self.state,
            "reason": self.reason,
            "warning": self.warning,
            "requested": self.requested,
            "unreachable": [{**event.facts, "since": event.at_s} for event in self.lost],
            "round": len(self.rounds),
            "rounds": [result.model_dump(mode="json") for result in self.rounds],
            "plan": self.plan.model_dump(mode="json"),
            "best": None if self.best is None else {"round": self.best[0], "value": self.best[1]},
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }


def read_run(folder: Path) -> RunView:
    """Return what is known of a run; nothing of it is changed.

    Raises:
        ConfigError: the folder holds no run.
    """
    plan = read_plan(folder)
    running = is_running(folder)
    events = list(_events(folder))
    last_round = max((event.round for event in events if event.kind == "round-ended"), default=0)
    kinds = [event.kind for event in events]
    state: RunState = "running" if running else _ENDS.get(kinds[-1] if kinds else "", "interrupted")
    requested = read_request(folder)
    if state in ("paused", "failed", "interrupted") and requested == "cancel":
        state = "cancelled"
    reason = str(events[-1].facts.get("reason", "")) if state == "failed" else ""
    return RunView(
        folder=folder,
        plan=plan,
        state=state,
        reason=reason,
        requested=requested if running else None,
        rounds=tuple(_rounds(folder, _committed(folder, last_round))),
        events=tuple(_of_round(events, last_round + 1)),
        started_at=events[0].at_s if events else None,
        ended_at=events[-1].at_s if events else None,
        lost=tuple(_lost(events)) if running else (),
    )


def read_model(folder: Path, which: Literal["last", "best"] = "last") -> dict[str, NDArray[Any]]:
    """Return a run's global model as named arrays.

    Args:
        folder: Of the run.
        which: ``last``, or ``best`` by the plan's metric.

    Raises:
        ConfigError: there is none yet, or ``which`` is another word.
    """
    if which not in ("last", "best"):
        raise ConfigError(f"which = {which!r}: a run keeps its 'last' and its 'best' model", field="which")
    models = folder / "models"
    paths = [models / "best.model"] if which == "best" else sorted(models.glob("[0-9]*.model"), reverse=True)
    for path in paths:
        checkpoint = read_checkpoint(path)
        if checkpoint is not None:
            return checkpoint.layout.split(checkpoint.model)
    raise ConfigError(f"{folder} has no {which} model: no round has ended there, or none was evaluated")


def is_running(folder: Path) -> bool:
    """Return whether a coordinator holds a run's folder."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Held for a moment only; a coordinator that begins just then tries again.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def list_runs(root: Path) -> list[Path]:
    """Return the folders below one that hold a run, the newest first."""
    found = [path.parent for path in root.glob("*/plan.json")]
    return sorted(found, key=lambda folder: (folder / "plan.json").stat().st_mtime, reverse=True)


def _events(folder: Path) -> Iterator[Event]:
    with suppress(FileNotFoundError):
        for line in (folder / EVENTS).read_bytes().split(b"\n"):
            with suppress(ValidationError):  # half a line is what a crash has left
                yield Event.model_validate_json(line)


def _of_round(events: Sequence[Event], round: int) -> list[Event]:
    """Return what happened in a round since it was begun the last time."""
    begins = [at for at, event in enumerate(events) if event.kind == "round-started" and event.round == round]
    return [event for event in events[begins[-1] :] if event.round == round] if begins else []


def _lost(events: Sequence[Event]) -> list[Event]:
    """Return what told that a place does not answer, where none has told since that it is back."""
    found: dict[str | None, Event] = {}
    for event in events:
        if event.kind in ("started", "resumed"):  # a coordinator finds out for itself
            found.clear()
        elif event.kind == "unreachable":
            found[event.facts["site"]] = event
        elif event.kind == "back":
            found.pop(event.facts["site"], None)
    return list(found.values())


def _committed(folder: Path, told: int) -> int:
    """Return the last round that has ended: the coordinator may have died before it could tell."""
    names = [path.stem for path in (folder / "models").glob("[0-9]*.model")]
    return max([told, *map(int, names)])


def _rounds(folder: Path, last: int) -> Iterator[RoundResult]:
    for number in range(1, last + 1):
        try:
            yield RoundResult.model_validate_json((folder / "rounds" / f"{number:05}.json").read_bytes())
        except (FileNotFoundError, ValidationError):
            continue  # the machine has ended before the disk had it: the models go on without
