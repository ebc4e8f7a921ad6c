"""How an arm trains: rounds, epochs, and which images each client has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from skerry.testbed.experiments.edge_federated.messages import Division, Settings
from skerry.testbed.experiments.edge_federated.sites import EDGES
from skerry.testbed.experiments.experiment import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an arm trains.

    Args:
        kind: How images are divided.
        rounds: How many.
        rows: The most images of one client; 0 for all.
        test_rows: Images of the test set that the global model is looked at with; 0 for all.
        settings: Of the clients.
    """

    kind: str
    rounds: int
    rows: int
    test_rows: int
    settings: Settings


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "paper": Way(kind="labels", rounds=50, rows=200, test_rows=2000, settings=Settings(epochs=10, sample=500)),
        "best": Way(
            kind="dirichlet",
            rounds=20,
            rows=0,
            test_rows=0,
            settings=Settings(epochs=1, decay_ratio=0.9, share_ratio=1 / 3, sample=500),
        ),
    }
)
"""How the arms train, by name."""


def choose_way(trial: Trial, name: str) -> Way:
    """Return the way of an arm, with what the run's options change of it."""
    way = WAYS[name]
    rounds, epochs, rows = (int(trial.options[name]) for name in ("rounds", "epochs", "rows"))
    settings = way.settings.model_copy(update={"epochs": epochs}) if epochs else way.settings
    return replace(way, rounds=rounds or way.rounds, rows=rows or way.rows, settings=settings)


def make_division(trial: Trial, way: Way) -> Division:
    """Return which images each client of a trial has."""
    return Division(
        data=trial.options["data"],
        kind=way.kind,
        clients=EDGES,
        rows=way.rows,
        test_rows=way.test_rows,
        seed=trial.seed,
    )


def describe_way(way: Way, division: Division) -> dict[str, Any]:
    """Return what clients are told of a way, as the settings of a plan."""
    return {
        "division": division.model_dump(mode="json"),
        "training": way.settings.model_dump(),
    }
