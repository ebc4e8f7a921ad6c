"""A client that trains nothing: what is left of a round is what a round costs."""

from typing import Any

import numpy as np

import skerry
from skerry.learn import federated

app = skerry.App("empty", imports=("numpy", "skerry.learn.federated.training"))
client = federated.Client(
    app, data=lambda name: name, start=lambda settings: {"weights": np.zeros(int(settings["size"]), np.float32)}
)


@client.fit(scale=skerry.Scale(min=3, max=3))
def fit(parameters: dict[str, Any], data: str, config: federated.Config) -> federated.Update:
    """Return the parameters as they came."""
    return federated.Update(parameters=parameters, examples=1, steps=1)


@client.evaluate(scale=skerry.Scale(min=3, max=3))
def evaluate(parameters: dict[str, Any], data: str, config: federated.Config) -> federated.Evaluation:
    """Find nothing."""
    return federated.Evaluation(examples=1, metrics={"accuracy": 0.0})
