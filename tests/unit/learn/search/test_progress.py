import io

import pytest

from skerry.learn.search import Progress, Settings, search, show_progress


def test_partial_results_are_told_after_every_task(array_data):
    seen = []
    result = search(array_data, "kn", {"n_neighbors": [1, 3]}, settings=Settings(watch=seen.append, group=1))
    assert [each.done for each in seen] == list(range(11))
    assert {each.total for each in seen} == {10}
    assert seen[7].best_score is None
    assert seen[-1].best_parameters == result.best_parameters
    assert seen[-1].best_score == pytest.approx(result.best_score)


def test_failed_fits_are_counted(array_data):
    seen = []
    search(array_data, "svc", {"C": [-1.0, 1.0]}, settings=Settings(watch=seen.append))
    assert seen[-1].failed == 5


def test_without_a_terminal_nothing_is_shown(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with show_progress() as watch:
        watch(Progress(done=1, total=2, failed=0))
    assert stream.getvalue() == ""


def test_a_terminal_shows_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with show_progress("digits") as watch:
        watch(Progress(done=1, total=2, failed=0, best_score=0.5))
    assert "digits" in stream.getvalue()
    assert "best 0.5000" in stream.getvalue()
