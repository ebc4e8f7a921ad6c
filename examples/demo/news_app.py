"""The app of the demo for texts: `evaluate` trains and scores candidates, `classify` serves the published model."""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime

import skerry
from skerry.errors import DataError
from skerry.learn.models import ModelFolder
from skerry.learn.search import Task, TaskResult, evaluate_task

LIBRARIES = (
    "numpy",
    "onnxruntime",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "skerry.learn.models",
    "skerry.learn.search",
)

app = skerry.App("news", imports=LIBRARIES)


@app.function(idempotent=True, timeout="5m", scale=skerry.Scale(initial=0, max=2))
def evaluate(task: Task) -> TaskResult:
    """Fit and score candidates on one fold; it always gives the same answer, so a lost call is sent again."""
    return evaluate_task(task)


@dataclass
class Answer:
    """What the serving function says: a label per text, the model that chose them, and the worker that ran it."""

    labels: list[str]
    model: str
    worker: int


class Weights:
    """The words that a model knows, with the weight of each: a text becomes its TF-IDF row.

    Args:
        content: JSON with ``pattern`` (what a word is), ``words`` and their ``weights``, in the order of the columns.
    """

    def __init__(self, content: bytes) -> None:
        words = json.loads(content)
        self._find_words = re.compile(words["pattern"]).findall
        self._column = {word: number for number, word in enumerate(words["words"])}
        self._weights = np.array(words["weights"])

    def rows(self, texts: list[str]) -> np.ndarray:
        """Return one row of length 1 per text, shape (texts, words), float32; unknown words count for nothing."""
        rows = np.zeros((len(texts), len(self._weights)))
        for row, text in zip(rows, texts, strict=True):
            for word, times in Counter(self._find_words(text.lower())).items():
                if word in self._column:
                    row[self._column[word]] = times
        rows *= self._weights
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        np.divide(rows, lengths, where=lengths > 0, out=rows)
        return rows.astype(np.float32)


class Classifier:
    """Loads the newest published model when its worker starts, and classifies texts with it."""

    def load(self) -> None:
        """Open the model: its words are JSON, what follows is ONNX. Before anything is published, callers are told."""
        self.error: DataError | None = None
        try:
            model = ModelFolder(Path(os.environ.get("MODELS", "models"))).open(os.environ.get("MODEL", "news"))
        except DataError as error:
            self.error = error
            return
        options = onnxruntime.SessionOptions()
        # The worker's share of the machine is one thread; more would wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.read("model.onnx"), options, ["CPUExecutionProvider"])
        self.weights = Weights(model.read("words.json"))
        self.name = str(model)

    def __call__(self, texts: list[str]) -> Answer:
        """Return the label of each text."""
        if self.error is not None:
            raise self.error
        (labels,) = self.session.run(["label"], {"rows": self.weights.rows(texts)})
        return Answer([str(label) for label in labels], self.name, os.getpid())


classify = app.function(
    name="classify", idempotent=True, scale=skerry.Scale(initial=0, max=2, window="1s", grace="1s")
)(Classifier)
