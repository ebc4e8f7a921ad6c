"""One client's work in a round, on vectors in files: what a plain process does for the arm with Flower."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from skerry.learn.federated.models.network import LAYOUT
from skerry.learn.federated.update import Config
from skerry.testbed.experiments.edge_federated import app


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
