"""The app that trains: `evaluate` fits and scores candidates."""

import skerry
from skerry.learn.search import Task, TaskResult, evaluate_task

# Imported once, in the process that workers are forked from: a worker then starts with all of it in memory.
LIBRARIES = (
    "numpy",
    "scipy.sparse",
    "sklearn.ensemble",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.svm",
    "sklearn.tree",
    "skerry.learn.search",
)

app = skerry.App("training", imports=LIBRARIES)


@app.function(idempotent=True, timeout="5m", scale=skerry.Scale(initial=0, max=2))
def evaluate(task: Task) -> TaskResult:
    """Fit and score candidates on one fold; it always gives the same answer, so a lost call is sent again."""
    return evaluate_task(task)
