"""A plain Python process that trains: it reads orders from its input, one JSON line each, and answers each.

It ends when its input does, so nothing is left when whoever started it is killed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from skerry.learn.federated.clients.update import Config
from skerry.learn.federated.models.network import LAYOUT
from skerry.testbed.experiments.edge_federated import app
from skerry.testbed.experiments.edge_federated.messages import Training


def fit_file(order: dict[str, Any]) -> dict[str, Any]:
    """Train as the function `fit` does.

    Args:
        order: ``client``, ``round``, ``seed``, ``settings``, and ``model`` and ``trained``: files of vectors.
    """
    began_s = time.perf_counter()
    parameters = LAYOUT.split(np.load(order["model"]))
    config = Config(client=order["client"], round=order["round"], seed=order["seed"], settings=order["settings"])
    update = app.fit(parameters, order["client"], config)
    if update.parameters is not None:
        np.save(Path(order["trained"]), LAYOUT.join(update.parameters), allow_pickle=False)
    return {
        "examples": update.examples,
        "metrics": {name: float(value) for name, value in update.metrics.items()},
        "train_s": time.perf_counter() - began_s,
    }


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Do what an order says: a training of its own, or a client's part in a round."""
    if "training" not in order:
        return fit_file(order)
    training = Training.model_validate(order["training"])
    began_s = time.perf_counter()
    trained = app.train_here(training)
    return {"response_s": time.perf_counter() - began_s, "trained": trained.model_dump(mode="json")}


def main() -> int:
    """Answer orders until there are no more."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
