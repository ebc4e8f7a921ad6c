"""The trained model in a site's model store, and what the site answers with it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skerry.learn.federated.models import paper_cnn
from skerry.learn.federated.models.export import to_onnx
from skerry.learn.federated.wire.coding.packing import unpack
from skerry.testbed.experiments.edge_federated import app
from skerry.testbed.experiments.edge_federated.images import read_images
from skerry.testbed.experiments.edge_federated.messages import Division
from skerry.testbed.experiments.edge_federated.serving import classify
from skerry.testbed.experiments.edge_federated.sites import CLOUD, EDGES
from skerry.testbed.experiments.experiment import Trial

SITE = EDGES[0]
SHOWN = 16
"""Images that are classified at the site."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What came of serving the model.

    Args:
        values: Measures.
        notes: For the record.
        story: In plain words.
    """

    values: Mapping[str, float]
    notes: Mapping[str, Any]
    story: Sequence[str]


def serve_model(trial: Trial, job: str, division: Division) -> Served:
    """Export a run's model, push it to an edge site, serve it there, and compare its answers with the model here.

    Args:
        trial: Of the run.
        job: Its name.
        division: Which images there are.
    """
    model = app.collect.at(trial.sites[CLOUD].place()).remote(job)
    parameters = model.layout.split(unpack(model.vector, model.layout.dtype.name))
    test = read_images(division.data).test
    accuracy, loss = paper_cnn.evaluate(parameters, test.images, test.labels)
    content = to_onnx(parameters).SerializeToString()

    site = trial.sites[SITE]
    version = app.publish.at(site.place()).remote(content, accuracy)
    shown = test.images[:SHOWN]
    began_s = time.monotonic()
    answer = classify.at(site.place()).remote(shown.tolist())
    response_s = time.monotonic() - began_s

    expected = paper_cnn.predict(parameters, shown)
    wrong = int((np.array(answer.digits) != expected.argmax(axis=1)).sum())
    furthest = float(np.abs(np.array(answer.probabilities) - expected).max())
    return Served(
        values={
            "test_accuracy": accuracy,
            "wrong_answers": float(wrong),
            "serving_memory_bytes": float(answer.peak_memory_bytes),
            "model_bytes": float(len(content)),
            "parameters": float(model.layout.size),
        },
        notes={"test_loss": loss, "version": version, "furthest_probability": furthest},
        story=[
            f"{version} is in the model store of {SITE}, and is served there",
            f"{len(shown)} test images came back in {response_s:.2f} s, from a worker that had to be started; "
            f"{wrong} digits and at most {furthest:.1g} of a probability differ from the model in NumPy",
        ],
    )
