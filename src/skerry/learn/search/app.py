"""The search as an app, for any platform that runs apps.

``evaluate`` does the tasks of a search that runs elsewhere; ``train`` is paper 001's public function, and scatters its
own search over ``evaluate`` when an engine runs it.
"""

import builtins
import os
from typing import Any

import skerry
from skerry.learn.search.evaluate import evaluate_task
from skerry.learn.search.messages import Task, TaskResult
from skerry.learn.search.scatter import over
from skerry.learn.search.wire import TrainRequest, train_request
from skerry.platforms.home import ENGINE_VARIABLE

PRELOADED = (
    "numpy",
    "scipy.sparse",
    "scipy.stats",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.svm",
    "sklearn.tree",
    "skerry.learn.search",
)
"""What the zygote imports, so that a worker starts with every family at hand."""

app = skerry.App("search", imports=PRELOADED)


@app.function(idempotent=True, timeout="1h")
def evaluate(task: Task) -> TaskResult:
    """Fit and score the candidates of one task of a search."""
    return evaluate_task(task)


@app.function(idempotent=True, timeout="1h", max_body="64MiB")
def train(request: TrainRequest) -> dict[str, Any]:
    """Answer a request of paper 001's public function."""
    # Only an engine's worker has other workers to scatter over; a bare runtime searches where it is.
    spread = over(evaluate) if ENGINE_VARIABLE in os.environ else builtins.map
    return train_request(request, map=spread)
