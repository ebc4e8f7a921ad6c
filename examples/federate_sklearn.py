"""Federated learning with scikit-learn: a linear classifier whose coefficients are the model that travels.

Any estimator that can go on from given coefficients will do; here it is `SGDClassifier` with `partial_fit`.

Run: python examples/federate_sklearn.py
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import SGDClassifier

import skerry
from skerry.learn import federated
from skerry.learn.federated.data.datasets import Digits, load_small_digits

app = skerry.App("digits-linear", imports=("sklearn.linear_model", "skerry.learn.federated"))

NAMES = ("harbour", "island", "lighthouse")
CLASSES = np.arange(10)
PIXELS = 28 * 28
Arrays = dict[str, NDArray[Any]]


def own_images(client: str) -> Digits:
    """Return what a client has: of each digit, two clients have a fifth, and one has the rest."""
    images, random = load_small_digits().train, np.random.default_rng(0)
    owner = np.where(random.random(len(images)) < 0.6, images.labels % 3, random.integers(0, 3, len(images)))
    return images.take(np.flatnonzero(owner == NAMES.index(client)))


def start(settings: Mapping[str, Any]) -> Arrays:
    """Return the parameters that the run begins with."""
    return {"coefficients": np.zeros((len(CLASSES), PIXELS)), "intercepts": np.zeros(len(CLASSES))}


client = federated.Client(app, data=own_images, start=start)


@client.fit(scale=skerry.Scale(max=3))
def fit(parameters: Arrays, data: Digits, config: federated.Config) -> federated.Update:
    """Train on the client's own images."""
    classifier = make_classifier(parameters, seed=config.seed, alpha=config.settings["alpha"])
    for _ in range(config.settings["epochs"]):
        classifier.partial_fit(rows_of(data), data.labels)
    trained = {"coefficients": classifier.coef_, "intercepts": classifier.intercept_}
    return federated.Update(parameters=trained, examples=len(data), steps=len(data) * config.settings["epochs"])


@client.evaluate(scale=skerry.Scale(max=3))
def evaluate(parameters: Arrays, data: Digits, config: federated.Config) -> federated.Evaluation:
    """Say how well the global model knows the client's own images."""
    classifier = make_classifier(parameters, seed=0, alpha=config.settings["alpha"])
    accuracy = classifier.score(rows_of(data), data.labels)
    return federated.Evaluation(examples=len(data), metrics={"accuracy": accuracy})


def make_classifier(parameters: Arrays, *, seed: int, alpha: float) -> Any:
    """Return a classifier that goes on from these parameters."""
    classifier = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, alpha=alpha, random_state=seed)
    classifier.partial_fit(np.zeros((1, PIXELS)), CLASSES[:1], classes=CLASSES)  # makes room for the coefficients
    classifier.coef_[:] = parameters["coefficients"]
    classifier.intercept_[:] = parameters["intercepts"]
    return classifier


def rows_of(data: Digits) -> NDArray[np.float64]:
    """Return each image as a row of numbers from 0 to 1."""
    return data.images.reshape(len(data), PIXELS) / 255.0


def main() -> None:
    """Run five rounds, and say after each how many images the global model knows."""
    plan = federated.Plan(
        job="digits",
        members=tuple(federated.Member(name=name, site="here") for name in NAMES),
        rounds=5,
        settings={"epochs": 2, "alpha": 0.0001},
    )
    with app.run() as running, tempfile.TemporaryDirectory() as folder:
        run = federated.Federation(Path(folder) / "run", plan, places={"here": running.platform})
        evaluated = [event.facts["metrics"]["accuracy"] for event in run.events() if event.kind == "evaluated"]
    print("accuracy after each round:", ", ".join(f"{accuracy:.2f}" for accuracy in evaluated))
    print("more than 0.8 are known:", evaluated[-1] > 0.8)


if __name__ == "__main__":
    main()
