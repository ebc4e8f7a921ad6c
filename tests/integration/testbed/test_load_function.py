"""`skerry load` of a function of the local engine, by its name."""

import json

import pytest

from skerry.cli.main import main
from support.engine_process import Engine, write_app


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("load")
    engine = Engine(folder / "home").start()
    write_app(
        folder / "app.py",
        """
        app = skerry.App("load")

        @app.function
        def double(number: int) -> int:
            return 2 * number

        @app.function(scale=skerry.Scale(max=1))
        def nap(seconds: float) -> None:
            time.sleep(seconds)
        """,
    )
    assert main(["deploy", str(folder / "app.py"), "--home", str(folder / "home")]) == 0
    yield folder / "home"
    engine.close()


@pytest.fixture
def load(home, capfd):
    def run(*words):
        code = main(["load", *map(str, words), "--home", str(home), "--json"])
        output = capfd.readouterr()
        return code, output.out, output.err

    return run


def test_a_function_is_asked_by_its_name(load):
    code, out, _ = load("double", "--rate", 50, "--duration", 1, "--warm-up", 0.5, "--data", "21")
    result = json.loads(out)
    assert code == 0
    assert result["target"] == "double"
    assert result["succeeded"] == result["planned"] > 20


def test_a_deadline_that_passes_is_an_error_by_the_code_of_skerry(load):
    code, out, _ = load("nap", "--rate", 20, "--duration", 1, "--deadline", 0.05, "--data", "0.5")
    errors = json.loads(out)["errors"]
    assert code == 1
    assert errors["by_code"]["deadline_exceeded"] > 0
    assert errors["by_status"]["504"] == errors["by_code"]["deadline_exceeded"]


def test_a_function_that_is_not_there_is_named_with_those_that_are(load):
    code, _, err = load("treble")
    assert code == 2
    assert json.loads(err)["code"] == "not_found"
    assert "there are double, nap" in json.loads(err)["detail"]
