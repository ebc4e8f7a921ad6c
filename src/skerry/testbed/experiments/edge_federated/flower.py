"""The arm with Flower: its strategy averages what plain processes train, on the images of the arm `best`.

Flower's own simulation needs Ray. Here its strategy runs in this process, and each client is a process of its own that
does what the function `fit` does; there is no network and no platform in between.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.network import LAYOUT
from skerry.learn.federated.plan import seed_of
from skerry.testbed.experiments.edge_federated.course import Course
from skerry.testbed.experiments.edge_federated.images import read_images
from skerry.testbed.experiments.edge_federated.sites import EDGES
from skerry.testbed.experiments.edge_federated.trainer import Trainer
from skerry.testbed.experiments.edge_federated.way import choose_way, describe_way, make_division
from skerry.testbed.experiments.experiment import Outcome, Trial

MISSING = "Flower is not installed here, so nothing was compared with it: pip install flwr"
Vector = NDArray[np.float32]


def run_flower(trial: Trial) -> Outcome:
    """Train as `best` does, averaged by Flower's FedAvg; without Flower, say that it is not there."""
    if find_spec("flwr") is None:
        return Outcome(values={}, notes={"left_out": MISSING}, story=[MISSING])
    way = choose_way(trial, "best")
    settings = describe_way(way, make_division(trial, way))
    test = read_images(trial.options["data"]).test
    vector = LAYOUT.join(paper_cnn.start(trial.seed))
    course = Course()
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(max_workers=len(EDGES)))
        trainers = {name: stack.enter_context(Trainer()) for name in EDGES}
        for number in range(1, way.rounds + 1):
            began_s = time.monotonic()

            def work(name: str, number: int = number, vector: Vector = vector) -> tuple[Vector, dict[str, Any]]:
                return _fit(trainers[name], name, number, seed_of(trial.seed, number, name), settings, vector)

            replies = dict(zip(EDGES, threads.map(work, EDGES), strict=True))
            vector = average(vector, {name: (trained, said["examples"]) for name, (trained, said) in replies.items()})
            accuracy, loss = paper_cnn.evaluate(LAYOUT.split(vector), test.images, test.labels)
            course.add({name: said["metrics"] for name, (_, said) in replies.items()}, accuracy, loss)
            course.duration_s.append(time.monotonic() - began_s)
    course.digest = hashlib.sha256(vector.tobytes()).hexdigest()
    return Outcome(values=course.values(), notes=course.notes(), story=["Flower's FedAvg averaged; no network"])


def average(model: Vector, replies: Mapping[str, tuple[Vector, int]]) -> Vector:
    """Return what Flower's FedAvg makes of clients' models.

    Args:
        model: That they began from.
        replies: The trained model and the number of examples, by client.
    """
    # Read when it is imported: Flower would tell its makers that somebody uses it.
    os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy import FedAvg

    logging.getLogger("flwr").setLevel(logging.ERROR)
    answers: Any = [
        SimpleNamespace(
            content=RecordDict(
                {
                    "arrays": ArrayRecord({"model": Array(trained)}),
                    "metrics": MetricRecord({"num-examples": examples}),
                }
            ),
            has_error=lambda: False,
        )
        for trained, examples in replies.values()
    ]
    arrays, _ = FedAvg().aggregate_train(1, answers)
    if arrays is None:
        return model
    averaged: Vector = np.asarray(arrays["model"].numpy(), np.float32)
    return averaged


def _fit(
    trainer: Trainer, name: str, number: int, seed: int, settings: Mapping[str, Any], vector: Vector
) -> tuple[Vector, dict[str, Any]]:
    before, after = trainer.folder / "model.npy", trainer.folder / "trained.npy"
    np.save(before, vector, allow_pickle=False)
    said = trainer.ask(
        {
            "client": name,
            "round": number,
            "seed": seed,
            "settings": dict(settings),
            "model": str(before),
            "trained": str(after),
        }
    )
    return np.load(after), said
