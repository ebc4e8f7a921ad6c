"""The curves of the experiment: figures 4, 5 and 6 of paper 003."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from skerry.testbed.experiments.curves import Curves, Line
from skerry.testbed.experiments.edge_federated.course import PAPER_ACCURACY, WANTED_ACCURACY
from skerry.testbed.experiments.results import Results

FEDERATED = ("best", "paper", "flower")
MARKS = {"82 %, the paper's": PAPER_ACCURACY, "99 %": WANTED_ACCURACY}


def draw(results: Results) -> list[Curves]:
    """Return the pictures of a run; of each arm, its first trial is shown."""
    notes = {arm: _first_notes(results, arm) for arm in FEDERATED}
    pictures = [
        Curves(
            name="global-accuracy",
            title="accuracy of the global model (figure 5)",
            across="round",
            unit="ratio",
            lines={arm: _by_round(found.get("accuracy", ())) for arm, found in notes.items()},
            marks=MARKS,
            read="On images of the test set, after each round. Every arm divides and trains in its own way.",
        ),
        Curves(
            name="global-loss",
            title="loss of the global model (figure 5)",
            across="round",
            unit="nats",
            lines={arm: _by_round(found.get("loss", ())) for arm, found in notes.items()},
        ),
    ]
    for arm in FEDERATED[:2]:
        pictures += _draw_clients(arm, notes[arm])
    return [*pictures, _draw_response(_first_notes(results, "response"))]


def _draw_clients(arm: str, notes: Mapping[str, Any]) -> list[Curves]:
    """Return accuracy and loss of the clients' own models, before they are averaged."""
    accuracy, loss = (
        {client: _by_round(values) for client, values in notes.get(name, {}).items()}
        for name in ("client_accuracy", "client_loss")
    )
    return [
        Curves(
            name=f"client-accuracy-{arm}",
            title=f"accuracy of the clients' own models, arm {arm} (figure 4)",
            across="round",
            unit="ratio",
            lines=accuracy,
            read="What each client has just trained, before it is averaged, on a sample of the test set.",
        ),
        Curves(
            name=f"client-loss-{arm}",
            title=f"loss of the clients' own models, arm {arm} (figure 4)",
            across="round",
            unit="nats",
            lines=loss,
        ),
    ]


def _draw_response(notes: Mapping[str, Any]) -> Curves:
    times: Mapping[str, Mapping[str, Sequence[float]]] = notes.get("response", {})
    names = {"cold": "from zero", "warm": "warm", "bare": "without Skerry"}
    return Curves(
        name="response",
        title="response of a training (figure 6)",
        across="local epochs",
        unit="s",
        lines={
            title: [(float(epochs), median(found[kind])) for epochs, found in times.items()]
            for kind, title in names.items()
        },
        read="Medians over the turns. The paper's cold line lies 5 s above the others.",
    )


def _by_round(values: Sequence[float]) -> Line:
    return [(float(number), value) for number, value in enumerate(values, start=1)]


def _first_notes(results: Results, arm: str) -> Mapping[str, Any]:
    return next((trial.notes for trial in results.trials if trial.arm == arm), {})
