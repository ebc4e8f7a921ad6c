import pytest

from skerry.cli.main import main


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    home = tmp_path / "home"
    monkeypatch.setenv("SKERRY_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return home


@pytest.fixture
def skerry_command(capfd):
    """Run a command line and return its exit code, standard output and standard error."""

    def run(*words):
        code = main([str(word) for word in words])
        output = capfd.readouterr()
        return code, output.out, output.err

    return run
