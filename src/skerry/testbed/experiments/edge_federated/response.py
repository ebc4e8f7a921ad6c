"""Figure 6 of paper 003: how long a training function takes to answer, cold, warm, and without any platform."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from statistics import median

from skerry.errors import UnavailableError
from skerry.testbed.experiments.calls import TimedCall, call
from skerry.testbed.experiments.edge_federated import app
from skerry.testbed.experiments.edge_federated.messages import Division, Settings, Trained, Training
from skerry.testbed.experiments.edge_federated.sites import EDGES
from skerry.testbed.experiments.edge_federated.trainer import Trainer
from skerry.testbed.experiments.edge_federated.way import choose_way, make_division
from skerry.testbed.experiments.experiment import Outcome, Trial
from skerry.testbed.experiments.place import SiteAddress

EPOCHS = (1, 5, 10, 20)
SITE = EDGES[0]
ROWS = 128
ZERO_TIMEOUT_S = 60.0
LOOK_S = 0.05

Times = dict[str, list[float]]
"""Seconds by what was measured, one value per turn; the phases of a call are without the training inside it."""


def run_response(trial: Trial) -> Outcome:
    """Call the training function cold and warm, and train without it, turn by turn, at each number of epochs."""
    way = choose_way(trial, "paper")
    division = make_division(trial, way).model_copy(update={"rows": min(way.rows, ROWS)})
    site = trial.sites[SITE]
    app.settle.at(site.place()).remote(division, SITE)
    turns = int(trial.options["turns"])
    first: Trained = call(app.train, site, _training(division, 1, trial.seed)).value
    with Trainer(first.processors) as trainer:
        trainer.train(_training(division, 1, trial.seed))
        times = {epochs: _measure(site, trainer, _training(division, epochs, trial.seed), turns) for epochs in EPOCHS}
    return Outcome(
        values=measure_response(times),
        notes={"response": {str(epochs): found for epochs, found in times.items()}, "rows": division.rows},
        story=[_say(epochs, found) for epochs, found in times.items()],
    )


def measure_response(times: Mapping[int, Times]) -> dict[str, float]:
    """Return the measures: responses at 10 epochs, and what is added to a training at worst over all epochs.

    Args:
        times: By number of epochs: ``cold``, ``warm`` and ``bare`` responses, one of each per turn, and ``cold_train``,
            ``warm_train`` and ``bare_train``, the training inside each.
    """
    shown = times[10]
    added = {
        f"{kind}_overhead_s": max(
            median(total - inside for total, inside in zip(found[kind], found[f"{kind}_train"], strict=True))
            for found in times.values()
        )
        for kind in ("cold", "warm")
    }
    # In pairs: both sides of a pair had the same minute of the machine.
    paired = {
        f"{kind}_difference_s": median(
            total - bare for found in times.values() for total, bare in zip(found[kind], found["bare"], strict=True)
        )
        for kind in ("cold", "warm")
    }
    responses = {f"training_response_{kind}_s": median(shown[kind]) for kind in ("cold", "warm", "bare")}
    return {**responses, **added, **paired}


def _measure(site: SiteAddress, trainer: Trainer, training: Training, turns: int) -> Times:
    times: Times = {}
    with closing(site.connect()) as kept:
        for _ in range(turns):
            wait_for_zero(site, app.train.name)
            # Who comes from zero opens a connection; who has just called has one, as a coordinator does.
            _keep(times, "cold", call(app.train, site, training))
            app.train.at(kept).remote(training.model_copy(update={"settings": Settings(epochs=1)}))
            _keep(times, "warm", call(app.train, site, training, over=kept))
            trained, response_s = trainer.train(training)
            times.setdefault("bare", []).append(response_s)
            times.setdefault("bare_train", []).append(trained.train_s)
    return times


def _keep(times: Times, kind: str, answer: TimedCall) -> None:
    trained: Trained = answer.value
    found = {"": answer.ended_s - answer.began_s, "_train": trained.train_s}
    for phase, took_s in answer.phases.items():
        found[f"_{phase}"] = took_s - (trained.train_s if phase == "compute_s" else 0.0)
    for name, value in found.items():
        times.setdefault(f"{kind}{name}", []).append(value)


def wait_for_zero(site: SiteAddress, function: str, *, timeout_s: float = ZERO_TIMEOUT_S) -> None:
    """Wait until a function has no worker at all.

    Raises:
        UnavailableError: it still has one when the time is over.
    """
    until_s = time.monotonic() + timeout_s
    with closing(site.connect()) as platform:
        while time.monotonic() < until_s:
            if not any(platform.function(function)["workers"].values()):
                return
            time.sleep(LOOK_S)
    raise UnavailableError(f"{function} at {site.name} still has a worker after {timeout_s:g} s")


def _training(division: Division, epochs: int, seed: int) -> Training:
    return Training(client=SITE, division=division, settings=Settings(epochs=epochs), seed=seed)


def _say(epochs: int, times: Times) -> str:
    cold, warm, bare = (median(times[kind]) for kind in ("cold", "warm", "bare"))
    start_s, rest_s = median(times["cold_cold_start_s"]), median(times["warm_compute_s"])
    return (
        f"{epochs} epochs: {cold:.3f} s from zero, {warm:.3f} s warm, {bare:.3f} s without Skerry; a worker started in "
        f"{start_s * 1000:.0f} ms, and a warm one spent {rest_s * 1000:.0f} ms on other things than training"
    )
