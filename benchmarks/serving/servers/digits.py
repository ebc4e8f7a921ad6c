"""The classifier that every server calls: the model named by ``MODEL``, one thread, a list of images at a time."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime


class Digits:
    """Sixty-four grey values in [0, 1] in, a digit out.

    Like every file in this folder it runs in an environment that has the server's own packages and nothing of Skerry.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the same for all; more threads would only take processors from the server
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._label = [self._session.get_outputs()[0].name]

    def classify(self, images: list[list[float]]) -> list[int]:
        """Return the digit of each image, in one run of the model."""
        labels: list[int] = self._session.run(self._label, {self._input: np.asarray(images, np.float32)})[0].tolist()
        return labels
