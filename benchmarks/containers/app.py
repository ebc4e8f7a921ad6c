"""What the container serves: a digit classifier on ONNX Runtime."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime

import skerry

app = skerry.App("digits", imports=("numpy", "onnxruntime"))


@app.function
class Classify:
    """Sixty-four grey values in, a digit out."""

    def load(self) -> None:
        """Read the model."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def __call__(self, image: list[float]) -> int:
        """Return the digit."""
        label, *_ = self.session.run(None, {self.input: np.asarray([image], "f4")})
        return int(label[0])
