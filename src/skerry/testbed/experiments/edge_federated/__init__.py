"""The experiment of paper 003: federated learning on three edge sites, with an aggregator in the cloud."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from skerry.testbed.experiments.edge_federated.sites import CLOUD, EDGES
from skerry.testbed.experiments.experiment import Arm, Experiment, Option


def _later(module: str, function: str, *arguments: Any) -> Any:
    """Call a function of this package: who only lists experiments needs no NumPy."""
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(*arguments)


experiment = Experiment(
    name="edge-federated",
    extras=("learn", "serve"),
    title="Federated learning on edge sites: the experiment of paper 003",
    question=(
        "Three edge sites train one network on images that never leave them, and a server in the cloud averages what "
        "they have learnt. Paper 003 got a global model of 82 % on MNIST after 50 rounds of 10 local epochs, and a "
        "training function whose answer came 0.05 s after the training when it was warm, and 5 s after it from zero. "
        "What comes out with the same network of 317,066 parameters and the same resources?"
    ),
    arms=(
        Arm(
            name="best",
            title="20 rounds on a third of all images, divided by a Dirichlet distribution of 0.3: what we would do",
            run=partial(_later, "arms", "run_federated"),
        ),
        Arm(
            name="paper",
            title="50 rounds of 10 local epochs on few images; two sites lack one digit, one lacks three",
            run=partial(_later, "arms", "run_federated"),
        ),
        Arm(
            name="flower",
            title="the work of best, averaged by Flower in one process, without any network",
            run=partial(_later, "flower", "run_flower"),
        ),
        Arm(
            name="response",
            title="one training at a site: from zero, with a warm worker, and without Skerry, in turns",
            run=partial(_later, "response", "run_response"),
        ),
    ),
    measures=(
        "global_accuracy",
        "rounds_to_82",
        "rounds_to_99",
        "round_s",
        "global_loss",
        "best_accuracy",
        "client_accuracy_min",
        "client_accuracy",
        "client_accuracy_max",
        "peak_memory_bytes",
        "serving_memory_bytes",
        "bytes_sent_per_round",
        "bytes_received_per_round",
        "sending_s",
        "training_s",
        "waiting_s",
        "aggregation_s",
        "evaluation_s",
        "training_response_cold_s",
        "training_response_warm_s",
        "training_response_bare_s",
        "cold_overhead_s",
        "warm_overhead_s",
        "cold_difference_s",
        "warm_difference_s",
        "test_accuracy",
        "wrong_answers",
        "model_bytes",
        "parameters",
        "rounds",
        "wire_bytes",
    ),
    sites=(*EDGES, CLOUD),
    app="skerry.testbed.experiments.edge_federated.app:app",
    topology="paper-003",
    repeats=1,
    options={
        "data": Option(default="auto", title="images: auto (MNIST, else the digits), digits, or a folder"),
        "rounds": Option(default="0", title="rounds, 0 for as many as the arm has"),
        "epochs": Option(default="0", title="local epochs, 0 for as many as the arm has"),
        "rows": Option(default="0", title="the most images of one client, 0 for as many as the arm has"),
        "turns": Option(default="5", title="how often each number of epochs is measured in the arm response"),
    },
    pairs=(("best", "flower"),),
    curves=partial(_later, "pictures", "draw"),
    conclude=partial(_later, "conclusions", "conclude"),
    quick={"data": "digits", "rounds": "3", "epochs": "1", "rows": "90", "turns": "1"},
)
