"""A client with the model of paper 003's size that trains nothing; one client's update is another one's, shifted."""

import hashlib
from typing import Any

import numpy as np

import skerry
from skerry.learn import federated

SIZE = 317_066

app = skerry.App("large", imports=("numpy", "skerry.learn.federated.clients.training"))
client = federated.Client(app, data=lambda: None, start=lambda settings: {"weights": np.zeros(SIZE, np.float32)})
base = np.random.default_rng(1).normal(0, 1e-3, SIZE).astype(np.float32)


@client.fit(scale=skerry.Scale(min=1, max=1))
def fit(parameters: dict[str, Any], data: Any, config: federated.Config) -> federated.Update:
    """Return the base, shifted by what the client's name comes to."""
    shift = int.from_bytes(hashlib.sha256(config.client.encode()).digest()[:4], "big")
    return federated.Update(delta={"weights": np.roll(base, shift % SIZE)}, examples=10, steps=1)
