"""A client that learns to tell the larger of two numbers; each site draws numbers of its own."""

import numpy as np

import skerry
from skerry.learn import federated

app = skerry.App("federating", imports=("numpy", "skerry.learn.federated.clients.client"))
ONE = skerry.Scale(min=1, max=1)


def own_pairs(name):
    """Return the pairs of one client, and which of the two is larger."""
    pairs = np.random.default_rng(sum(name.encode())).random((200, 2), np.float32)
    return pairs, (pairs[:, 0] > pairs[:, 1]).astype(np.float32)


client = federated.Client(app, data=own_pairs, start=lambda settings: {"weights": np.zeros(2, np.float32)})


@client.fit(timeout="5m", scale=ONE)
def fit(model, data, config):
    """Follow the slope of the logistic loss."""
    pairs, larger = data
    for _ in range(20):
        found = 1 / (1 + np.exp(-pairs @ model["weights"]))
        model["weights"] -= pairs.T @ (found - larger) / larger.size
    return federated.Update(parameters=model, examples=larger.size, steps=20)


@client.evaluate(timeout="5m", scale=ONE)
def evaluate(model, data, config):
    """Say how many pairs a model tells right."""
    pairs, larger = data
    accuracy = np.mean((pairs @ model["weights"] > 0) == (larger > 0.5))
    return federated.Evaluation(examples=larger.size, metrics={"accuracy": accuracy})
