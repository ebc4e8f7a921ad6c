"""The app that serves the trained model at an edge site, with what paper 003 allows a serving function."""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
from pydantic import BaseModel

import skerry

MEMORY = "100MiB"
PROCESSORS = 0.4

app = skerry.App("edge-federated-serving", imports=("numpy", "onnxruntime"))


class Answer(BaseModel):
    """Digits that were recognised.

    Args:
        digits: One per image.
        probabilities: Ten per image.
        peak_memory_bytes: Of the worker.
    """

    digits: list[int]
    probabilities: list[list[float]]
    peak_memory_bytes: int


def read_images(images: list[list[list[int]]]) -> Any:
    """Return images of 28x28 pixels, 0 to 255, as the model takes them."""
    return np.array(images, np.uint8)


def say_digits(outputs: dict[str, Any]) -> Answer:
    """Return the model's output as an answer."""
    probabilities = np.asarray(outputs["probabilities"])
    return Answer(
        digits=[int(digit) for digit in probabilities.argmax(axis=1)],
        probabilities=probabilities.tolist(),
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


classify = app.serve(
    "classify",
    model="edge-digits@production",
    before=read_images,
    after=say_digits,
    memory=MEMORY,
    cpu=PROCESSORS,
    scale=skerry.Scale(max=1),
)
