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


HOSTILE = "f\x1b]52;c;eA==\x07\x9b2J\u202e\rg"
SHOWN = r"f\x1b]52;c;eA==\x07\x9b2J\u202e\rg"


@pytest.mark.parametrize("terminal", [False, True])
def test_what_comes_from_elsewhere_does_not_reach_the_terminal_as_orders(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "100")
    console = Console()

    console.data(f"{HOSTILE}\n\tx")
    console.table([f"[/x]{HOSTILE}"], [[f"{HOSTILE}\nspoofed"]])
    console.error(SpecError(HOSTILE, hint=HOSTILE, traceback=f"a\n{HOSTILE}"))

    out, err = capsys.readouterr()
    assert out.startswith(f"{SHOWN}\n\tx\n")
    assert f"[/x]{SHOWN}" in out
    assert rf"{SHOWN}\nspoofed" in out
    assert err == f"a\n{SHOWN}\nerror: {SHOWN}\nhint: {SHOWN}\n"


def test_json_holds_what_came(capsys):
    console = Console(as_json=True)

    console.json({"text": f"{HOSTILE}\x7f"})
    console.error(SpecError(f"{HOSTILE}\x7f"))

    out, err = capsys.readouterr()
    assert json.loads(out) == {"text": f"{HOSTILE}\x7f"}
    assert json.loads(err)["detail"] == f"{HOSTILE}\x7f"


def test_what_was_printed_keeps_its_colours_and_its_progress_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)

    Console().printed("\x1b[1;31mred\x1b[0m 10%\r\x1b]0;title\x07\n")
    Console().printed("\x1b[31mred\r\x1b[2J\n", before="pod-1: ")

    assert capsys.readouterr().out == ("\x1b[1;31mred\x1b[0m 10%\r\\x1b]0;title\\x07\npod-1: \x1b[31mred\\r\\x1b[2J\n")


def test_an_answer_gives_a_terminal_no_orders_and_a_pipe_its_bytes(capfdbinary, monkeypatch):
    text = f"é{HOSTILE}"

    for terminal in (True, False):
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal)
        console = Console()
        console.piece(text.encode()[:1])
        console.piece(text.encode()[1:])
        console.body("application/json", b'"\xc2\x9b"')

    shown, piped = f'é{SHOWN}"\\x9b"\n', f'{text}"\x9b"\n'
    assert capfdbinary.readouterr().out.decode() == shown + piped


def test_what_was_printed_is_piped_as_it_is(capsys):
    Console().printed(f"{HOSTILE}\n", before="pod-1: ")

    assert capsys.readouterr().out == f"pod-1: {HOSTILE}\n"


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
