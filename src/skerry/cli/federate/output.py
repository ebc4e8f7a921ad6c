"""What a run has become, as tables and as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skerry.cli.console import Console
from skerry.cli.federate.lost import describe_loss
from skerry.cli.units import duration, size
from skerry.platforms.home import home_words

if TYPE_CHECKING:
    from skerry.learn.federated.record.results import RoundResult
    from skerry.learn.federated.record.run_view import RunView

SHOWN_ROUNDS = 20


def show_run(console: Console, view: RunView, home: Path | None = None) -> None:
    """Write what is known of a run: its latest rounds, and how it stands.

    Args:
        console: Where to write it.
        view: The run.
        home: Folder of the engine here, where it is known.
    """
    if console.as_json:
        console.json(view.to_json())
        return
    metrics = list(dict.fromkeys(name for result in view.rounds for name in result.metrics))
    if view.rounds:
        columns = ["ROUND", "CLIENTS", *(name.upper() for name in metrics), "TIME", "TRAIN", "DOWN", "UP"]
        console.table(columns, [_row(result, metrics) for result in view.rounds[-SHOWN_ROUNDS:]])
    best = view.best
    parts = [f"{view.state}: {len(view.rounds)} of {view.plan.rounds} rounds"]
    if best is not None:
        parts.append(f"best {view.plan.best_metric} {best[1]:.4f} in round {best[0]}")
    if view.epsilon is not None:
        parts.append(f"epsilon {view.epsilon:.3g} at delta {view.plan.privacy_delta:g}")
    parts.append(f"folder: {view.folder}")
    console.message("   ".join(parts))
    if best is None and metrics:
        console.message(f"no client has measured {view.plan.best_metric!r}, but {', '.join(metrics)}: see --metric")
    if view.warning:
        console.message(f"warning: {view.warning}")
    for event in view.lost:
        console.message(f"round {event.round}: {describe_loss(event, view.plan)}")
    if view.reason:
        console.message(f"reason: {view.reason}")
    if view.state in ("paused", "failed", "interrupted"):
        console.message(f"go on with: skerry federate resume {view.folder}{home_words(home) if home else ''}")


def _row(result: RoundResult, metrics: list[str]) -> list[str]:
    found = [f"{result.metrics[name]:.4f}" if name in result.metrics else "-" for name in metrics]
    return [
        str(result.round),
        f"{len(result.replies)}/{len(result.chosen)}",
        *found,
        duration(result.ended_at - result.started_at),
        duration(result.phases_s.get("train", 0.0)),
        size(result.bytes_down),
        size(result.bytes_up),
    ]
