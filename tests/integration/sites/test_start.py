"""What starting an engine says about how to go on, run as it stands."""

import re
import shlex

import pytest

from skerry.cli.main import main
from support.held_port import HeldPort


@pytest.fixture
def skerry_command(capfd, monkeypatch, tmp_path):
    """Run a command line where another folder's engine is the usual one; return exit code and both outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "usual"))

    def run(*words):
        code = main([str(word) for word in words])
        output = capfd.readouterr()
        return code, output.out, output.err

    return run


def test_the_commands_that_an_engine_names_are_about_that_engine(skerry_command, tmp_path):
    home = tmp_path / "an edge"
    held = HeldPort()
    start = ("engine", "start", "--home", home, "--port", 0, "--listen", f"127.0.0.1:{held.number}")
    code, _, err = skerry_command(*start)
    assert code == 0, err
    try:
        named = re.search(r"its token: skerry (.*)$", err, re.MULTILINE).group(1)
        _, out, _ = skerry_command(*shlex.split(named))
        assert out.strip() == (home / "token").read_text().strip()
        code, _, err = skerry_command(*start)
        assert code != 0
        named = re.search(r"stop it with `skerry (.*?)`", err).group(1)
    finally:
        code, _, err = skerry_command("engine", "stop", "--home", home)
    assert code == 0, err
    assert shlex.split(named) == ["engine", "stop", "--home", str(home)]


def test_an_engine_in_the_usual_folder_needs_no_name(skerry_command):
    code, _, err = skerry_command("engine", "start", "--host", "0.0.0.0", "--port", 0)
    try:
        assert code == 0, err
        assert "needs the token (skerry sites token)" in err
    finally:
        skerry_command("engine", "stop")
