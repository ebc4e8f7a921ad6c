"""Federated learning with NumPy: three clients train paper 003's network, and their images stay where they are.

The clients have different digits: each has most of some, and few of others. Here one engine plays all three; name sites
in the plan, and each runs at its own.

Run: python examples/federate_numpy.py
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import skerry
from skerry.learn import federated
from skerry.learn.federated.data.datasets import Digits, load_small_digits
from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.paper_cnn import Parameters, Training

app = skerry.App("digits", imports=("numpy", "skerry.learn.federated.clients.client"))

NAMES = ("harbour", "island", "lighthouse")


def own_images(client: str) -> Digits:
    """Return what a client has: of each digit, two clients have a fifth, and one has the rest."""
    images, random = load_small_digits().train, np.random.default_rng(0)
    owner = np.where(random.random(len(images)) < 0.6, images.labels % 3, random.integers(0, 3, len(images)))
    return images.take(np.flatnonzero(owner == NAMES.index(client)))


def start(settings: Mapping[str, Any]) -> Parameters:
    """Return the parameters that the run begins with."""
    return paper_cnn.start(settings["seed"])


client = federated.Client(app, data=own_images, start=start)


@client.fit(memory="200MiB", cpu=1, scale=skerry.Scale(max=3))
def fit(parameters: Parameters, data: Digits, config: federated.Config) -> federated.Update:
    """Train on the client's own images."""
    training = Training(
        epochs=config.settings["epochs"],
        learning_rate=config.settings["learning_rate"],
        batch=16,
        seed=config.seed,
        proximal=config.proximal,
        correction=config.correction,
    )
    trained = paper_cnn.fit(parameters, data.images, data.labels, training)
    return federated.Update(
        parameters=trained.parameters, examples=len(data), steps=trained.steps, metrics={"loss": trained.loss}
    )


@client.evaluate(memory="200MiB", cpu=1, scale=skerry.Scale(max=3))
def evaluate(parameters: Parameters, data: Digits, config: federated.Config) -> federated.Evaluation:
    """Say how well the global model knows the client's own images."""
    accuracy, loss = paper_cnn.evaluate(parameters, data.images, data.labels)
    return federated.Evaluation(examples=len(data), metrics={"accuracy": accuracy, "loss": loss})


def main() -> None:
    """Run four rounds, and say after each how many images the global model knows."""
    plan = federated.Plan(
        job="digits",
        members=tuple(federated.Member(name=name, site="here") for name in NAMES),
        rounds=4,
        settings={"epochs": 1, "learning_rate": 0.02},
    )
    with app.run() as running, tempfile.TemporaryDirectory() as folder:
        run = federated.Federation(Path(folder) / "run", plan, places={"here": running.platform})
        for event in run.events():
            if event.kind == "evaluated":
                accuracy = event.facts["metrics"]["accuracy"]
                print(f"round {event.round}: {accuracy:.2f} of the clients' images")
    print("more than 0.8 are known:", accuracy > 0.8)


if __name__ == "__main__":
    main()
