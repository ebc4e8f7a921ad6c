"""The function that is loaded: a digit classifier that takes batches; what it classifies with comes from MODEL."""

from __future__ import annotations

import os

import skerry

VARIABLES = ("BENCHMARK_MODEL", "BENCHMARK_MODEL_FILE", "BENCHMARK_MAX_SIZE", "BENCHMARK_OBJECTIVE", "OMP_NUM_THREADS")

app = skerry.App("objective", imports=["numpy", "sklearn.ensemble", "sklearn.neural_network", "onnxruntime"])


@app.function(
    batch=skerry.Batch(
        max_size=int(os.environ.get("BENCHMARK_MAX_SIZE", "64")),
        objective=os.environ.get("BENCHMARK_OBJECTIVE", "50ms"),
    ),
    queue=100_000,
    env={name: os.environ.get(name, "") for name in VARIABLES},
)
class Classify:
    """Sixty-four grey values in [0, 1] in, a digit out."""

    def load(self) -> None:
        """Make the model ready."""
        from benchmarks.objective.models import make_classifier

        self._classify = make_classifier(os.environ["BENCHMARK_MODEL"], os.environ["BENCHMARK_MODEL_FILE"])

    def __call__(self, images: skerry.Items[list[float]]) -> list[int]:
        """Return a digit for each image."""
        return self._classify(images)
