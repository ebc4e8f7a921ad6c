import numpy as np
import pytest

from skerry.errors import DataError
from skerry.learn.search import Folds, Settings, search
from skerry.learn.search.journal import Journal

GRID = {"n_neighbors": [1, 3, 5]}


class Stop(Exception):
    pass


def stopping_after(count):
    def run(function, tasks):
        for number, task in enumerate(tasks):
            if number == count:
                raise Stop
            yield function(task)

    return run


def counting(seen):
    def run(function, tasks):
        for task in tasks:
            seen.append((task.fold, tuple(task.candidates)))
            yield function(task)

    return run


def settings(tmp_path, **more):
    return Settings(journal=tmp_path / "deep" / "journal.jsonl", group=1, **more)


def test_a_search_continues_where_it_ended(array_data, tmp_path):
    with pytest.raises(Stop):
        search(array_data, "kn", GRID, map=stopping_after(4), settings=settings(tmp_path))
    seen = []
    found = search(array_data, "kn", GRID, map=counting(seen), settings=settings(tmp_path))
    expected = search(array_data, "kn", GRID)
    assert len(seen) == 15 - 4
    assert np.array_equal(found.cv_results["mean_test_score"], expected.cv_results["mean_test_score"])
    seen.clear()
    search(array_data, "kn", GRID, map=counting(seen), settings=settings(tmp_path))
    assert seen == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_truncated_last_line_is_cut_off_and_its_task_done_again(array_data, tmp_path, cut):
    with pytest.raises(Stop):
        search(array_data, "kn", GRID, map=stopping_after(4), settings=settings(tmp_path))
    path = settings(tmp_path).journal
    path.write_bytes(path.read_bytes()[:-cut])
    seen = []
    search(array_data, "kn", GRID, map=counting(seen), settings=settings(tmp_path))
    assert len(seen) == 15 - 3
    seen.clear()
    search(array_data, "kn", GRID, map=counting(seen), settings=settings(tmp_path))
    assert seen == []


@pytest.mark.parametrize("change", ["grid", "folds", "model", "seed"])
def test_the_journal_of_another_search_is_refused(array_data, tmp_path, change):
    search(array_data, "dt", {"max_depth": [1]}, settings=settings(tmp_path))
    other = {"grid": ("dt", {"max_depth": [2]}), "model": ("rf", {"max_depth": [1]})}
    model, grid = other.get(change, ("dt", {"max_depth": [1]}))
    folds = Folds(splits=2) if change == "folds" else None
    changed = settings(tmp_path, random_state=1 if change == "seed" else 0)
    with pytest.raises(DataError, match="belongs to a search with other data"):
        search(array_data, model, grid, folds=folds, settings=changed)


def test_another_file_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n")
    with pytest.raises(DataError, match="no journal"):
        Journal(path, "digest")
    assert path.read_text() == "my notes\n"
