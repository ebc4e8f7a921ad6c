import json
import os
import subprocess
import sys

import click
import pytest

import skerry
from skerry.cli.main import COMMANDS, cli
from skerry.cli.options import Command


def all_commands(group=cli, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))


PATHS = [path for path, _ in all_commands()]


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_the_help_of_every_command_ends_with_an_example_of_it(path, skerry_command):
    code, out, _ = skerry_command(*path, "--help")

    assert code == 0
    example = out.partition("Example:\n")[2].strip().splitlines()
    assert example
    assert any(f"skerry {' '.join(path)}" in line for line in example)


@pytest.mark.parametrize("path", [p for p, c in all_commands() if not isinstance(c, click.Group)], ids=" ".join)
def test_every_command_speaks_json(path):
    command = dict(all_commands())[path]

    assert isinstance(command, Command)
    assert "--json" in [option for parameter in command.params for option in parameter.opts]


@pytest.mark.parametrize(("path", "command"), list(all_commands()), ids=lambda value: "")
def test_every_option_has_a_help_text(path, command):
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.name}"


def test_the_help_of_the_program_lists_every_command(skerry_command):
    code, out, _ = skerry_command("--help")

    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)


def test_help_does_not_load_what_it_does_not_need():
    code = "import sys; from skerry.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()

    assert not {"pydantic", "uvloop", "numpy", "rich", "http.client", "orjson"} & set(loaded)


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["run", "--port", "many"],
        ["run", "--port", "70000"],
        ["invoke"],
        ["list", "--colour"],
        ["completion", "tcsh"],
        ["engine", "nonsense"],
    ],
)
def test_wrong_use_is_exit_code_2_with_a_hint(words, skerry_command):
    code, out, err = skerry_command(*words)

    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert "\nhint: see skerry" in err


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["deplyo"], "did you mean `skerry deploy`?"),
        (["ps"], "did you mean `skerry list`?"),
        (["stop"], "did you mean `skerry engine stop`?"),
        (["models", "lst"], "did you mean `skerry models list`?"),
        (["jobs", "zzz"], "there are: cancel, list, result, retry, status, submit"),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_there_is_told_with_what_may_be_meant(words, advice, skerry_command):
    code, out, err = skerry_command(*words)

    assert (code, out) == (2, "")
    assert err.startswith(f"error: there is no command `skerry {' '.join(words)}`; {advice}\n")


@pytest.mark.parametrize("words", [[], ["models"], ["network", "flows"]], ids=" ".join)
def test_a_group_by_itself_shows_its_help_and_no_error(words, skerry_command):
    code, out, err = skerry_command(*words)

    assert (code, out) == (2, "")
    assert err.startswith(" ".join(["Usage: skerry", *words]))
    assert "error:" not in err


def test_an_option_without_its_value_points_to_the_help_of_its_command(skerry_command):
    assert "hint: see skerry invoke --help" in skerry_command("invoke", "f", "--data")[2]


def test_the_list_of_commands_says_in_full_what_they_do(skerry_command):
    out = skerry_command("--help")[1]

    assert "..." not in out.partition("Commands:")[2].partition("Example:")[0]
    assert max(len(line) for line in out.splitlines()) <= 80


def test_an_interrupt_while_the_command_line_is_imported_is_quiet():
    code = """
import sys
class Interrupts:
    def find_spec(self, name, *_):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupts())
from skerry.cli.entry import main
sys.exit(main())
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (said.returncode, said.stdout, said.stderr) == (130, "", "")


def test_an_output_that_the_shell_has_closed_is_no_traceback():
    command = f"{sys.executable} -c 'from skerry.cli.entry import main; raise SystemExit(main())' testbed list >&-"

    said = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)

    assert (said.returncode, said.stderr) == (0, "")


def test_errors_are_problems_with_json(skerry_command):
    code, out, err = skerry_command("list", "--json")

    assert (code, out) == (1, "")
    assert json.loads(err)["code"] == "engine_not_running"


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["describe", "f"],
        ["logs", "f"],
        ["delete", "f"],
        ["invoke", "f"],
        ["engine", "stop"],
        ["jobs", "list"],
    ],
)
def test_without_an_engine_every_command_says_what_to_do(words, skerry_command):
    code, out, err = skerry_command(*words)

    assert (code, out) == (1, "")
    assert err.startswith("error: no engine is running at ")
    assert "hint: run `skerry deploy FILE`" in err
    assert "Traceback" not in err


def test_options_can_be_set_by_variables(skerry_command, monkeypatch):
    monkeypatch.setenv("SKERRY_VERSION_JSON", "1")

    assert json.loads(skerry_command("version")[1])["version"] == skerry.__version__


def test_the_engines_folder_can_be_named(skerry_command, tmp_path, own_home):
    assert f"at {own_home}/engine.sock" in skerry_command("list")[2]
    assert f"at {tmp_path}/other/engine.sock" in skerry_command("list", "--home", tmp_path / "other")[2]


def test_an_interrupt_is_exit_code_130(skerry_command, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skerry.cli.destination.connect", interrupt)

    assert skerry_command("list")[0] == 130


def test_the_version_is_printed(skerry_command):
    assert skerry_command("version") == (0, f"skerry {skerry.__version__}\n", "")
    assert skerry_command("--version") == (0, f"skerry {skerry.__version__}\n", "")


def test_the_command_line_is_a_module_too():
    def run(*words):
        return subprocess.run([sys.executable, "-m", "skerry", *words], capture_output=True, text=True, check=False)

    assert run("version").stdout == f"skerry {skerry.__version__}\n"
    assert run("no-such-command").returncode == 2


@pytest.mark.parametrize(("shell", "words"), [("zsh", "compdef"), ("fish", "complete")])
def test_completion_is_a_script_for_the_shell(skerry_command, shell, words):
    code, out, _ = skerry_command("completion", shell)

    assert code == 0
    assert words in out
    assert "_SKERRY_COMPLETE" in out


def test_completion_knows_the_commands():
    asked = {"_SKERRY_COMPLETE": "bash_complete", "COMP_WORDS": "skerry de", "COMP_CWORD": "1"}
    environment = {**os.environ, **asked}
    code = "from skerry.cli.main import cli; cli(prog_name='skerry')"

    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)

    assert said.stdout.split() == ["plain,deploy", "plain,describe", "plain,delete"]
