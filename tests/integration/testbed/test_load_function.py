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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """An engine that answers to other machines, over https."""
    folder = tmp_path_factory.mktemp("site")
    app = write_app(
        folder / "app.py",
        """
        app = skerry.App("load")

        @app.function
        def double(number: int) -> int:
            return 2 * number
        """,
    )
    engine = Engine(folder / "home", public=True).start(app)
    yield engine
    engine.close()


BRIEFLY = ("--rate", "50", "--arrivals", "constant", "--duration", "0.4", "--data", "21")


def test_a_site_is_reached_with_what_its_project_says(site, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    lines = [
        "[sites.edge]",
        f'address = "https://127.0.0.1:{site.public_port}"',
        f'token_file = "{site.home / "token"}"',
        f'certificate = "{site.home / "certificate.pem"}"',
    ]
    (tmp_path / "skerry.toml").write_text("\n".join(lines) + "\n")
    assert main(["load", "double", "--site", "edge", *BRIEFLY, "--json"]) == 0
    result = json.loads(capfd.readouterr().out)
    assert (result["target"], result["succeeded"]) == ("double at edge", 20)

    assert main(["load", "treble", "--site", "edge", *BRIEFLY]) == 2
    assert "no function 'treble' is deployed at site 'edge'; there are double" in capfd.readouterr().err


def test_an_address_has_to_show_the_certificate_that_is_named(site, tmp_path, capfd):
    address = f"https://127.0.0.1:{site.public_port}/function/double"
    token = ["--header", f"Authorization: Bearer {(site.home / 'token').read_text().strip()}"]
    certificate = site.home / "certificate.pem"
    assert main(["load", address, *BRIEFLY, *token, "--certificate", str(certificate), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["succeeded"] == 20

    assert main(["load", address, *BRIEFLY, *token]) == 1
    said = capfd.readouterr().err
    assert f"{address} answers, but its certificate is not one that this machine trusts: " in said
    assert "--certificate FILE" in said
    assert "nothing answers" not in said

    (tmp_path / "none.pem").write_text("none\n")
    assert main(["load", address, *BRIEFLY, "--certificate", str(tmp_path / "none.pem")]) == 2
    assert "none.pem cannot be read" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["https://127.0.0.1:1/", "--site", "edge"], "--site names where a function is"),
        (["double", "--certificate", "some.pem"], "--certificate is about an https address"),
    ],
)
def test_places_that_contradict_each_other_are_refused(words, message, capfd):
    assert main(["load", *words]) == 2
    assert message in capfd.readouterr().err
