"""A large model on ONNX Runtime: loaded by each worker, or once for all of them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime

import skerry

app = skerry.App("sharing", imports=["numpy", "onnxruntime"])


class Model:
    """A seed in; the process and the sum of the model's outputs out."""

    def load(self) -> None:
        """Read the model, without threads of its own, and run it once."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(
            os.environ["MODEL"], options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0]
        self(0)

    def __call__(self, seed: int) -> tuple[int, float]:
        """Run the model once, through all of its weights."""
        x = np.sin(np.arange(seed, seed + self.input.shape[1], dtype="f4")).reshape(1, -1)
        (y,) = self.session.run(None, {self.input.name: x})
        return os.getpid(), float(y.sum())


own = app.function(name="own")(Model)
shared = app.function(name="shared", share_load=True)(Model)
