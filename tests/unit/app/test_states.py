import os

import pytest

import skerry
from skerry.errors import SpecError
from skerry.spec import STATE_VARIABLE


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SKERRY_ENGINE", raising=False)
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    return tmp_path / "home"


def test_an_app_has_the_states_that_it_asked_for(home):
    app = skerry.App("news")
    counts = app.state("counts")
    assert isinstance(counts, skerry.State)
    assert app.state("counts") is counts
    assert list(app.states) == ["counts"]
    assert counts.group == "news/counts"
    assert not home.exists()


@pytest.mark.parametrize("name", ["", "Counts", "a/b", "..", "a_b", "x" * 64, 7])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(SpecError, match="is not the name of a state"):
        skerry.App("news").state(name)


def test_it_is_kept_in_the_engine_s_folder_and_closed_to_others(home):
    skerry.App("news").state("counts").increment("total")
    assert skerry.App("news").state("counts").get("total") == 1
    file = home / "state" / "news" / "counts.sqlite3"
    assert file.is_file()
    assert {path.stat().st_mode & 0o77 for path in (home, home / "state", file.parent)} == {0}


def test_the_engine_around_a_worker_and_the_variable_win(home, monkeypatch, tmp_path):
    state = skerry.App("news").state("counts")
    monkeypatch.setenv("SKERRY_ENGINE", str(tmp_path / "engine" / "engine.sock"))
    assert state.url == (tmp_path / "engine" / "state").as_uri()
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "named"))
    assert state.url == (tmp_path / "named").as_uri()
    state.put("a", 1)
    assert (tmp_path / "named" / "news" / "counts.sqlite3").exists()


def test_the_project_says_where_unless_the_variable_does(home, monkeypatch, tmp_path):
    (tmp_path / "skerry.toml").write_text(f'[state]\nurl = "{tmp_path / "of-project"}"\n')
    namespace = {"__file__": str(tmp_path / "app.py")}
    exec('import skerry\napp = skerry.App("news")\nstate = app.state("counts")', namespace)
    assert namespace["state"].url == (tmp_path / "of-project").as_uri()
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "named"))
    assert namespace["state"].url == (tmp_path / "named").as_uri()


def test_a_fork_gives_parent_and_child_files_of_their_own(home):
    state = skerry.App("news").state("counts")
    state.put("n", 0)
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(50):
                state.increment("n")
            os._exit(0)
        children.append(pid)
    for _ in range(50):
        state.increment("n")
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    assert state.get("n") == 200
