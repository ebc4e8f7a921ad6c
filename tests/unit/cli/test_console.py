import json

import pytest

from skerry.cli.console import Console
from skerry.errors import AppImportError, InvalidPayloadError, SpecError


def test_tables_are_plain_and_aligned_where_nobody_looks(capsys):
    Console().table(["NAME", "N"], [["train", "1"], ["a", "20"]])

    assert capsys.readouterr().out == "NAME   N\ntrain  1\na      20\n"


def test_tables_are_drawn_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    Console().table(["NAME"], [["[bold]train"]])

    out = capsys.readouterr().out
    assert "─" in out
    assert "[bold]train" in out


def test_an_error_is_a_message_and_a_hint(capsys):
    Console().error(SpecError("cpu = -1: must be at least 0.01", hint="use 1"))

    assert capsys.readouterr() == ("", "error: cpu = -1: must be at least 0.01\nhint: use 1\n")


def test_all_that_is_wrong_with_a_value_is_listed(capsys):
    found = [{"field": f"f.{n}", "message": "Field required"} for n in range(12)]

    Console().error(InvalidPayloadError("f.0: Field required (and 1 more)", errors=found[:2], hint="x"))
    assert capsys.readouterr().err == ("error: f.0: Field required (and 1 more)\n  f.1: Field required\nhint: x\n")

    Console().error(InvalidPayloadError("f.0: Field required (and 11 more)", errors=found))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:] == [*(f"  f.{n}: Field required" for n in range(1, 10)), "  ..."]


@pytest.mark.parametrize("errors", ["none", [{"field": "x", "message": "y"}], [1, 2], None])
def test_what_is_no_list_of_further_errors_is_left_out(capsys, errors):
    Console().error(InvalidPayloadError("wrong", errors=errors))

    assert capsys.readouterr().err == "error: wrong\n"


def test_the_users_own_traceback_comes_first(capsys):
    Console().error(AppImportError("cannot import app.py", traceback="Traceback ...\nNameError: x\n"))

    assert capsys.readouterr().err == "Traceback ...\nNameError: x\nerror: cannot import app.py\n"


def test_errors_are_problems_with_json(capsys):
    Console(as_json=True).error(SpecError("wrong", field="cpu"))

    problem = json.loads(capsys.readouterr().err)
    assert (problem["code"], problem["field"]) == ("bad_option", "cpu")
