"""Hyper-parameter search by k-fold cross-validation, scattered over workers, with the answer of the serial search.

>>> from skerry.learn.search import load_digits, search
>>> result = search(load_digits(), "kn", {"n_neighbors": [3, 5]})
>>> result.best_parameters
{'n_neighbors': 3}

A search scatters *folds x candidates* as small messages over an executor: Python's own ``map``, or a deployed function
by way of :func:`over`. Data are shared as a folder of memory maps that is named by its content; texts are counted once.
"""

from skerry.learn.search.dataset import Dataset, open_dataset, share_arrays, share_texts
from skerry.learn.search.evaluate import evaluate_task
from skerry.learn.search.families import FAMILIES, Family
from skerry.learn.search.folds import make_splitter, split_rows
from skerry.learn.search.grid import Grid, list_candidates
from skerry.learn.search.load import load_csv, load_digits, load_json
from skerry.learn.search.messages import Folds, Holdout, Model, Outcome, Step, Task, TaskResult
from skerry.learn.search.pipeline import describe
from skerry.learn.search.progress import Progress, Watch, show_progress
from skerry.learn.search.refit import fit_best
from skerry.learn.search.results import Failure, SearchResult
from skerry.learn.search.scatter import Map, Settings, family_grid, over, search
from skerry.learn.search.wire import TrainRequest, train_request

__all__ = [
    "FAMILIES",
    "Dataset",
    "Failure",
    "Family",
    "Folds",
    "Grid",
    "Holdout",
    "Map",
    "Model",
    "Outcome",
    "Progress",
    "SearchResult",
    "Settings",
    "Step",
    "Task",
    "TaskResult",
    "TrainRequest",
    "Watch",
    "describe",
    "evaluate_task",
    "family_grid",
    "fit_best",
    "list_candidates",
    "load_csv",
    "load_digits",
    "load_json",
    "make_splitter",
    "open_dataset",
    "over",
    "search",
    "share_arrays",
    "share_texts",
    "show_progress",
    "split_rows",
    "train_request",
]
