import json
import subprocess
import sys
import tomllib

import pytest

from skerry.cli.create import app_name
from skerry.errors import ConfigError
from skerry.spec import read_project_file


def test_a_new_project_passes_its_own_test(skerry_command, tmp_path):
    code, out, err = skerry_command("create", "My Project")
    folder = tmp_path / "My Project"

    assert (code, out) == (0, "")
    assert "next: cd My Project && skerry run app.py" in err
    assert tomllib.loads((folder / "skerry.toml").read_text())["app"]["target"] == "app.py:app"
    read_project_file(folder / "skerry.toml")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_app_is_named_after_its_folder(skerry_command, tmp_path):
    _, out, _ = skerry_command("create", "a/b/Edge_Site", "--json")

    assert json.loads(out)["name"] == "edge-site"
    assert 'App("edge-site")' in (tmp_path / "a/b/Edge_Site/app.py").read_text()


def test_nothing_is_overwritten(skerry_command, tmp_path):
    (tmp_path / "app.py").write_text("mine")

    code, _, err = skerry_command("create", ".", "--name", "hello")

    assert code == 2
    assert "app.py would be overwritten" in err
    assert (tmp_path / "app.py").read_text() == "mine"
    assert not (tmp_path / "skerry.toml").exists()


@pytest.mark.parametrize(("text", "name"), [("Hello", "hello"), ("my_app 2", "my-app-2"), ("--a--", "a")])
def test_names_are_made_of_folders(text, name):
    assert app_name(text) == name


@pytest.mark.parametrize("text", ["", "123", "---", "日本"])
def test_folders_that_make_no_name_ask_for_one(text):
    with pytest.raises(ConfigError, match="no app name"):
        app_name(text)
