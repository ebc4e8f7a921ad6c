"""A client that trains nothing: what is left of a round is what a round costs."""

from typing import Any

import numpy as np

import skerry
from skerry.learn import federated

app = skerry.App("empty", imports=("numpy", "skerry.learn.federated.clients.training"))
client = federated.Client(
    app,
    data=lambda: None,
    # As numbers of a model are: those of zeros would be read and written in another time.
    start=lambda settings: {"weights": np.random.default_rng(0).normal(size=int(settings["size"])).astype(np.float32)},
)


@client.fit(scale=skerry.Scale(min=3, max=3))
def fit(parameters: dict[str, Any], data: Any, config: federated.Config) -> federated.Update:
    """Return the parameters after one step in no direction."""
    weights = parameters["weights"]
    return federated.Update(delta={"weights": weights * np.float32(1e-3)}, examples=1, steps=1)


@client.evaluate(scale=skerry.Scale(min=3, max=3))
def evaluate(parameters: dict[str, Any], data: Any, config: federated.Config) -> federated.Evaluation:
    """Find nothing."""
    return federated.Evaluation(examples=1, metrics={"accuracy": 0.0})
