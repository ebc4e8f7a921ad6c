"""The tasks of a search, on pods that say which of them they have done."""

import skerry
from skerry.learn.search import Task, TaskResult, evaluate_task

app = skerry.App("searching", imports=["skerry.learn.search", "sklearn.naive_bayes", "sklearn.model_selection"])


@app.function(idempotent=True, timeout="5m", scale=skerry.Scale(min=1, max=1))
def evaluate(task: Task) -> TaskResult:
    print("evaluated", task.number, flush=True)
    return evaluate_task(task)
