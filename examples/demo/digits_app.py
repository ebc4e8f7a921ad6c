"""The app of the demo: `evaluate` trains and scores candidates, `classify` serves the published model."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import onnxruntime

import skerry
from skerry.errors import DataError
from skerry.learn.models import ModelFolder
from skerry.learn.search import Task, TaskResult, evaluate_task

# Imported once, in the process that workers are forked from: a worker then starts with all of it in memory.
LIBRARIES = (
    "numpy",
    "onnxruntime",
    "scipy.sparse",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "skerry.learn.models",
    "skerry.learn.search",
)

app = skerry.App("digits", imports=LIBRARIES)


@app.function(idempotent=True, timeout="5m", scale=skerry.Scale(initial=0, max=2))
def evaluate(task: Task) -> TaskResult:
    """Fit and score candidates on one fold; it always gives the same answer, so a lost call is sent again."""
    return evaluate_task(task)


@dataclass
class Answer:
    """What the serving function says: a label per row, the model that chose them, and the worker that ran it."""

    labels: list[str]
    model: str
    worker: int


class Classifier:
    """Loads the newest published model when its worker starts, and classifies rows of numbers with it."""

    def load(self) -> None:
        """Open the model. A worker that starts before anything is published says so to its callers."""
        self.error: DataError | None = None
        try:
            model = ModelFolder(Path(os.environ.get("MODELS", "models"))).open(os.environ.get("MODEL", "digits"))
        except DataError as error:
            self.error = error
            return
        options = onnxruntime.SessionOptions()
        # The worker's share of the machine is one thread; more would wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.read("model.onnx"), options, ["CPUExecutionProvider"])
        self.width = int(model.about["width"])
        self.name = str(model)

    def __call__(self, rows: Annotated[np.ndarray, skerry.Tensor("float32", (None, None))]) -> Answer:
        """Return the label of each row."""
        if self.error is not None:
            raise self.error
        if rows.shape[1] != self.width:
            raise DataError(f"rows: the model takes {self.width} numbers per row, these have {rows.shape[1]}")
        (labels,) = self.session.run(["label"], {"rows": rows})
        return Answer([str(label) for label in labels], self.name, os.getpid())


classify = app.function(
    name="classify", idempotent=True, scale=skerry.Scale(initial=0, max=2, window="1s", grace="1s")
)(Classifier)
