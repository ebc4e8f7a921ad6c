"""Federated learning with PyTorch: the network of paper 003, with the same parameters as the one in NumPy.

What travels are named arrays; a module's state, as arrays, is just that.

Run: python examples/federate_torch.py
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

import skerry
from skerry.learn import federated
from skerry.learn.federated.data.datasets import Digits, load_small_digits

app = skerry.App("digits-torch", imports=("torch", "skerry.learn.federated.clients.client"))

NAMES = ("harbour", "island", "lighthouse")
Arrays = dict[str, NDArray[Any]]


class PaperCnn(torch.nn.Module):
    """Paper 003, table 1: 317,066 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 32, 5)
        self.conv2 = torch.nn.Conv2d(32, 64, 5)
        self.dense1 = torch.nn.Linear(1024, 256)
        self.dense2 = torch.nn.Linear(256, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of images of shape (n, 1, 28, 28)."""
        middle = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        middle = functional.dropout(middle, 0.25, self.training)
        last = functional.max_pool2d(functional.relu(self.conv2(middle)), 2)
        hidden = functional.relu(self.dense1(last.flatten(1)))
        logits: torch.Tensor = self.dense2(functional.dropout(hidden, 0.25, self.training))
        return logits


def own_images(client: str) -> Digits:
    """Return what a client has: of each digit, two clients have a fifth, and one has the rest."""
    images, random = load_small_digits().train, np.random.default_rng(0)
    owner = np.where(random.random(len(images)) < 0.6, images.labels % 3, random.integers(0, 3, len(images)))
    return images.take(np.flatnonzero(owner == NAMES.index(client)))


def start(settings: Mapping[str, Any]) -> Arrays:
    """Return the parameters that the run begins with."""
    torch.manual_seed(settings["seed"])
    return {name: tensor.numpy() for name, tensor in PaperCnn().state_dict().items()}


client = federated.Client(app, data=own_images, start=start)


@client.fit(memory="1GiB", cpu=1, scale=skerry.Scale(max=3))
def fit(parameters: Arrays, data: Digits, config: federated.Config) -> federated.Update:
    """Train on the client's own images."""
    model, images, labels = make_model(parameters), *make_tensors(data)
    torch.manual_seed(config.seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=config.settings["learning_rate"], momentum=0.9)
    batches = torch.split(torch.randperm(len(labels)), 16)
    for chosen in batches:
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(model(images[chosen]), labels[chosen]))
        optimiser.step()
    trained = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return federated.Update(parameters=trained, examples=len(data), steps=len(batches))


@client.evaluate(memory="1GiB", cpu=1, scale=skerry.Scale(max=3))
@torch.no_grad()
def evaluate(parameters: Arrays, data: Digits, config: federated.Config) -> federated.Evaluation:
    """Say how well the global model knows the client's own images."""
    model, images, labels = make_model(parameters), *make_tensors(data)
    right = (model.eval()(images).argmax(dim=1) == labels).float()
    return federated.Evaluation(examples=len(data), metrics={"accuracy": float(right.mean())})


def make_model(parameters: Arrays) -> PaperCnn:
    """Return the network with these parameters, on as many threads as the function has processors."""
    torch.set_num_threads(int(os.environ.get("SKERRY_THREADS", "1")))
    model = PaperCnn()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in parameters.items()})
    return model


def make_tensors(data: Digits) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images of shape (n, 1, 28, 28) around 0, and labels."""
    images = (torch.from_numpy(data.images).float()[:, None] - 33.3) / 78.6
    return images, torch.from_numpy(data.labels).long()


def main() -> None:
    """Run two rounds, and say after each how many images the global model knows."""
    members = tuple(federated.Member(name=name, site="here") for name in NAMES)
    plan = federated.Plan(job="digits", members=members, rounds=2, settings={"learning_rate": 0.03})
    with app.run() as running, tempfile.TemporaryDirectory() as folder:
        run = federated.Federation(Path(folder) / "run", plan, places={"here": running.platform})
        evaluated = [event.facts["metrics"]["accuracy"] for event in run.events() if event.kind == "evaluated"]
    print("accuracy after each round:", ", ".join(f"{accuracy:.2f}" for accuracy in evaluated))
    print("more than 0.8 are known:", evaluated[-1] > 0.8)


if __name__ == "__main__":
    main()
