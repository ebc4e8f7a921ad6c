"""A client that learns a little, and counts how often it is asked to."""

import os
from pathlib import Path
from typing import Any

import numpy as np

import skerry
from skerry.learn import federated

app = skerry.App("counting", imports=("numpy", "skerry.learn.federated.clients.training"))
client = federated.Client(
    app,
    data=lambda name: np.random.default_rng(ord(name)).normal(size=1000).astype(np.float32),
    start=lambda settings: {"weights": np.zeros(1000, np.float32)},
)


@client.fit(scale=skerry.Scale(min=3, max=3))
def fit(parameters: dict[str, Any], data: Any, config: federated.Config) -> federated.Update:
    """Go some of the way to the client's own numbers."""
    with (Path(os.environ["SKERRY_ENGINE"]).parent / "fits").open("a") as file:
        file.write(f"{config.settings['job']} {config.client} {config.round}\n")
    noise = np.random.default_rng(config.seed).normal(0, 0.01, data.size).astype(np.float32)
    return federated.Update(delta={"weights": (data - parameters["weights"]) / 3 + noise}, examples=10, steps=1)


@client.evaluate(scale=skerry.Scale(min=3, max=3))
def evaluate(parameters: dict[str, Any], data: Any, config: federated.Config) -> federated.Evaluation:
    """Return how far the model is from the client's own numbers."""
    return federated.Evaluation(examples=10, metrics={"loss": float(np.abs(parameters["weights"] - data).mean())})
