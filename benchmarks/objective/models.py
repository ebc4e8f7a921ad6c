"""What classifies the digits: three models whose call costs differently much beside its items."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

Classifier = Callable[[list[list[float]]], list[int]]

# forest: fifty trees as scikit-learn calls them. Tree ensembles are what tabular data at the edge is mostly classified
#     with, and this is how people call them: some milliseconds of Python for each call, whatever it has to classify.
#     The bar is judged on it.
# mlp: a small network as scikit-learn calls it, which checks its input for longer than it multiplies.
# onnx: the model of `benchmarks.serving` on ONNX Runtime. Its call costs less than reading the JSON of one image, so
#     HTTP and JSON are nearly all of it and there is little for batches to save; it is here to say so.
MODELS = ("forest", "mlp", "onnx")


def make_classifier(name: str, file: str | Path) -> Classifier:
    """Return a function from images to digits, the same one wherever it is made.

    The models of scikit-learn are fitted on the spot, in less than a second: a fitted one could only be stored as
    pickle.

    Args:
        name: One of `MODELS`.
        file: The ONNX file of the last one.
    """
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.neural_network import MLPClassifier

    if name == "onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        source, label = session.get_inputs()[0].name, session.get_outputs()[0].name

        def run(images: list[list[float]]) -> list[int]:
            found: list[int] = session.run([label], {source: np.asarray(images, np.float32)})[0].tolist()
            return found

        return run
    pixels, digits = load_digits(return_X_y=True)
    model: Any = (
        RandomForestClassifier(50, random_state=0)
        if name == "forest"
        else MLPClassifier((32,), max_iter=300, random_state=0)
    ).fit(pixels / 16, digits)

    def predict(images: list[list[float]]) -> list[int]:
        found: list[int] = model.predict(np.asarray(images)).tolist()
        return found

    return predict


def time_calls(classify: Classifier, images: list[list[float]]) -> dict[str, float]:
    """Return what an item and a call cost when nothing else runs, in seconds: the line through 1 and 64 items."""
    took_s = {size: median(_time(classify, images[:size]) for _ in range(50)) for size in (1, 64)}
    a_s = max(0.0, (took_s[64] - took_s[1]) / 63)
    return {"a_s": a_s, "b_s": max(0.0, took_s[1] - a_s), "one_s": took_s[1], "sixty_four_s": took_s[64]}


def _time(classify: Classifier, images: list[list[float]]) -> float:
    began = time.perf_counter()
    classify(images)
    return time.perf_counter() - began
