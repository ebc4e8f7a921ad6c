import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from skerry.learn.search import Folds, Settings, search
from skerry.learn.search.app import PRELOADED

FOLDS = Folds(splits=2, repeats=3, random_state=1)

KILLED = """
import os, signal, sys
from pathlib import Path
from skerry.learn.search import Folds, Settings, open_dataset, search

def watch(progress):
    if progress.done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

data, journal = sys.argv[1:]
folds = Folds(splits=2, repeats=3, random_state=1)
search(open_dataset(data), "pac", {"C": [0.1, 1]}, folds=folds,
       settings=Settings(journal=Path(journal), watch=watch, group=1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_number_of_processes_gives_the_same_arrays(text_data, workers):
    grid = {"C": [0.01, 1], "loss": ["hinge", "squared_hinge"]}
    expected = search(text_data, "pac", grid, folds=FOLDS)
    # Processes of their own, forked from one that has the libraries: importing them takes each of seven others 2 s.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        found = search(text_data, "pac", grid, folds=FOLDS, map=pool.map, settings=Settings(group=1))
    for name, array in expected.cv_results.items():
        if name.endswith("test_score"):
            assert np.array_equal(found.cv_results[name], array)
    assert found.ranking == expected.ranking


def test_a_search_that_was_killed_continues_with_the_same_answer(text_data, tmp_path):
    journal = tmp_path / "journal.jsonl"
    command = [sys.executable, "-c", KILLED, str(text_data.folder), str(journal)]
    killed = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    seen = []

    def counting(function, tasks):
        for task in tasks:
            seen.append(task)
            yield function(task)

    settings = Settings(journal=journal, group=1)
    found = search(text_data, "pac", {"C": [0.1, 1]}, folds=FOLDS, map=counting, settings=settings)
    expected = search(text_data, "pac", {"C": [0.1, 1]}, folds=FOLDS)
    assert len(seen) == 12 - 3
    assert np.array_equal(found.cv_results["mean_test_score"], expected.cv_results["mean_test_score"])
