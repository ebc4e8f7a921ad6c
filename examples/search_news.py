"""Hyper-parameter search behind one address, in the wire format of the published function `fake-news-train`.

The request names a model family (here `mnb`, multinomial naive Bayes) and holds texts and labels; the answer has the
best parameters and the accuracy on validation rows and on rows that were held out.

Run: python examples/search_news.py
"""

import json
import urllib.request
from typing import Any

import skerry
from skerry.learn.search import Task, TaskResult, TrainRequest, evaluate_task, over, train_request

app = skerry.App("news", imports=("sklearn.naive_bayes", "sklearn.feature_extraction.text", "skerry.learn.search"))

REAL = ("council", "votes", "budget", "for", "roads", "schools", "minister", "answers", "questions", "in", "parliament")
FAKE = ("aliens", "secretly", "run", "the", "bank", "miracle", "pill", "melts", "shocking", "truth", "revealed")


@app.function(idempotent=True, scale=skerry.Scale(max=2))
def evaluate(task: Task) -> TaskResult:
    """Fit and score a few candidates on one fold."""
    return evaluate_task(task)


@app.function(timeout="10m", max_body="64MiB")
def train(request: TrainRequest) -> dict[str, Any]:
    """Search the family's grid, spread over the workers of `evaluate`."""
    return train_request(request, map=over(evaluate))


def make_request(texts: int = 60) -> dict[str, Any]:
    """Return a request with made-up headlines: words of one list in different orders, and one of the other."""
    x_dict, y_dict = {}, {}
    for number in range(texts):
        own, other = (REAL, FAKE) if number % 2 else (FAKE, REAL)
        words = [own[(number * step) % len(own)] for step in range(1, 7)]
        x_dict[str(number)] = " ".join([*words, other[number % len(other)]])
        y_dict[str(number)] = "REAL" if number % 2 else "FAKE"
    return {"model": "mnb", "x_dict": x_dict, "y_dict": y_dict}


def main() -> None:
    """Send one request over HTTP, as any client would."""
    with app.run() as running:
        body = json.dumps(make_request()).encode()
        address = f"{running.address}/function/train"
        request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
    for name in ("best parameters", "accuracy (validation)", "accuracy (test)"):
        print(f"{name}: {answer[name]}")


if __name__ == "__main__":
    main()
