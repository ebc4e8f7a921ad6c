"""What every server is asked: requests with the answers they must give."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

LOADED = 50
CHECKED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests and their right answers.

    Args:
        name: What the table calls it.
        app: The variant of the server that serves it.
        traced: Whether every request carries a fresh ``traceparent``.
        bodies: What is checked, all different; the first ``LOADED`` of them are the load.
        answers: What each must be answered with.
    """

    name: str
    app: str
    traced: bool
    bodies: list[bytes]
    answers: list[Any]

    def as_lists(self) -> Workload:
        """Return the same with each value in a list of one, for a server whose batches are made of lists."""
        bodies = [b"[" + body + b"]" for body in self.bodies]
        return replace(self, name=f"{self.name}-lists", bodies=bodies, answers=[[answer] for answer in self.answers])

    def write(self, folder: Path) -> Path:
        """Write the bodies of the load, one per line, and return the file."""
        path = folder / f"{self.name}.bodies"
        path.write_bytes(b"\n".join(self.bodies[:LOADED]) + b"\n")
        return path


def make_workloads(folder: Path) -> dict[str, Workload]:
    """Make the model in this folder and return the workloads by name."""
    images, labels = make_model(folder / "digits.onnx")
    values = [{"message": "hello", "number": 42 + i} for i in range(CHECKED)]
    echo = [encode(value) for value in values]
    digits = [encode({"image": image}) for image in images]
    found = (
        Workload(name="echo", app="echo", traced=False, bodies=echo, answers=values),
        Workload(name="digits", app="digits", traced=False, bodies=digits, answers=[{"label": n} for n in labels]),
        Workload(name="echo-traced", app="echo", traced=True, bodies=echo, answers=values),
    )
    return {workload.name: workload for workload in found}


def encode(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def make_model(path: Path) -> tuple[list[list[float]], list[int]]:
    """Train the classifier, write it as ONNX, and return different images with the labels that the ONNX gives them."""
    import numpy as np
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    pixels, digits = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype("float32")
    model = MLPClassifier(hidden_layer_sizes=(32,), max_iter=600, random_state=0).fit(pixels, digits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter still reads attributes that scikit-learn is about to rename
        path.write_bytes(to_onnx(model, pixels[:1], target_opset=18, options={"zipmap": False}).SerializeToString())
    images = np.unique(pixels, axis=0)
    images = images[np.random.default_rng(0).permutation(len(images))[:CHECKED]]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # One at a time, so that a server that mixes up a batch cannot be right by the same mistake.
    labels = [int(session.run(None, {session.get_inputs()[0].name: image[None]})[0][0]) for image in images]
    return images.tolist(), labels
