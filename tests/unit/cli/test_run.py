"""The commands that start engines, against the real one."""

import json
import os
import select
import signal
import subprocess
import sys

import pytest

from skerry.platforms.engine import EnginePlatform

SOURCE = """
import skerry

app = skerry.App("greetings")


@app.function
def greet(name: str) -> str:
    print("greeting", name, flush=True)
    return "Hello, " + name
"""
COMMAND = [sys.executable, "-c", "import sys; from skerry.cli.main import main; sys.exit(main())"]


@pytest.fixture
def app_file(tmp_path):
    file = tmp_path / "app.py"
    file.write_text(SOURCE)
    return file


@pytest.fixture
def run(app_file):
    process = subprocess.Popen(
        [*COMMAND, "run", str(app_file), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process, process.stdout, process.stderr:
        yield process
        process.kill()


def call(address, name):
    platform = EnginePlatform(address)
    try:
        return json.loads(platform.invoke("greet", json.dumps(name).encode(), content_type="application/json").body)
    finally:
        platform.close()


def read_until(stream, text):
    for line in stream:
        if text in line:
            return line
    raise AssertionError(f"{text!r} never came")


def engine_of(process):
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(children) as file:
        return [os.pidfd_open(int(pid)) for pid in file.read().split()]


def test_run_serves_reloads_and_leaves_nothing_behind(run, app_file):
    address = run.stdout.readline().strip()
    assert run.stdout.readline().split() == ["greet", f"{address}/function/greet"]
    assert call(address, "Ada") == "Hello, Ada"
    assert read_until(run.stderr, "greet | greeting Ada")

    app_file.write_text(SOURCE.replace("Hello", "Good morning"))
    assert read_until(run.stderr, "reloaded: greet")
    assert call(address, "Ada") == "Good morning, Ada"

    app_file.write_text("import no_such_module_at_all")
    assert read_until(run.stderr, "ModuleNotFoundError")
    assert read_until(run.stderr, "the old revision keeps serving")
    assert call(address, "Ada") == "Good morning, Ada"

    app_file.write_text(SOURCE.replace("Hello", "Good morning"))
    assert read_until(run.stderr, "mended: the source is again what the old revision serves")

    engines = engine_of(run)
    run.send_signal(signal.SIGINT)
    assert run.wait(60) == 130
    assert engines
    for engine in engines:
        assert select.select([engine], [], [], 20)[0]
        os.close(engine)


def test_other_commands_name_the_folder_that_run_serves_from(run, skerry_command, tmp_path):
    assert run.stdout.readline()

    code, _, err = skerry_command("invoke", "greet", "--data", '"Ada"', "--home", tmp_path / "nobody")
    assert (code, "error: no engine is running at" in err) == (1, True)
    homes = [word for word in err.split() if "skerry-run-" in word]  # of other tests' too, perhaps
    answers = [skerry_command("invoke", "greet", "--data", '"Ada"', "--home", home)[1] for home in homes]

    assert '"Hello, Ada"\n' in answers


def test_an_app_that_cannot_be_imported_is_exit_code_2_with_its_traceback(app_file, skerry_command):
    app_file.write_text("1 / 0")

    code, out, err = skerry_command("run", app_file, "--port", "0")

    assert (code, out) == (2, "")
    assert "ZeroDivisionError" in err
    assert err.strip().splitlines()[-1].startswith("error: cannot import 'app'")


def test_invoke_tells_what_came_before_a_generator_failed_and_of_its_error(app_file, skerry_command):
    app_file.write_text(
        "import collections.abc, os, skerry\n\napp = skerry.App('a')\n\n\n@app.function\n"
        "def count(dies: bool = False) -> collections.abc.Iterator[int]:\n    yield 1\n    yield 2\n"
        "    if dies:\n        os.abort()\n    raise RuntimeError('enough')\n"
        "\n\n@app.function\ndef whole() -> str:\n    return 'ä'\n"
    )
    assert skerry_command("deploy", app_file, "--port", "0")[0] == 0
    try:
        assert skerry_command("invoke", "whole")[:2] == (0, '"ä"\n')
        code, out, err = skerry_command("invoke", "count")
        as_json = skerry_command("invoke", "count", "--json")
        died, _, why = skerry_command("invoke", "count", "--data", "true")
    finally:
        skerry_command("engine", "stop")

    assert (code, out) == (1, "1\n2\n")
    assert "function 'count' failed; the log has the reason under error id" in err
    *lines, problem = "".join(as_json[1:]).splitlines()
    assert (as_json[0], lines) == (1, ["1", "2"])
    assert (json.loads(problem)["code"], json.loads(problem)["retryable"]) == ("handler_failed", False)
    assert json.loads(problem)["error_id"]
    assert died == 1
    assert "hint: a generator ends so with its worker: skerry logs count has the reason, --stream shows" in why


def test_invoke_and_list_say_that_the_engine_was_killed(app_file, skerry_command, own_home, tmp_path):
    app_file.write_text(
        "import os, pathlib, time, skerry\n\napp = skerry.App('a')\n\n\n@app.function\n"
        "def slow(parent: int) -> int:\n    os.kill(parent, 9)\n    time.sleep(60)\n    return 1\n"
    )
    assert skerry_command("deploy", app_file, "--port", "0")[0] == 0
    status = json.loads(skerry_command("engine", "status", "--json")[1])
    pid = status["pid"]
    assert status["log"] == str(own_home / "engine.log")
    assert f"log:      {own_home}/engine.log" in skerry_command("engine", "status")[1]

    code, _, err = skerry_command("invoke", "slow", "--data", pid)
    assert code == 1
    assert "; the engine has ended, and the call with it" in err
    assert "generator" not in err

    os.waitpid(pid, 0)
    code, _, err = skerry_command("list")
    assert code == 1
    assert f"the last one (process {pid}) ended without being stopped: see {own_home}/engine.log" in err
    assert "hint: `skerry engine start` serves its apps again" in err


def test_a_load_that_fails_is_shown_before_its_log_goes_with_the_engine(app_file, skerry_command):
    app_file.write_text(
        "import skerry\n\napp = skerry.App('a')\n\n\n@app.function\nclass Greet:\n"
        "    def load(self):\n        raise RuntimeError('no model')\n\n    def __call__(self) -> int: return 1\n"
    )

    code, out, err = skerry_command("run", app_file, "--port", "0")

    assert (code, out) == (1, "")
    assert "greet | RuntimeError: no model\n" in err
    assert "error: function 'greet' cannot start: RuntimeError while it loaded" in err


@pytest.mark.parametrize("command", ["run", "deploy"])
def test_a_project_file_that_is_wrong_is_named_where_it_lies(app_file, skerry_command, command):
    project = app_file.with_name("skerry.toml")
    project.write_text("this is [ not toml")

    code, out, err = skerry_command(command, app_file, "--port", "0")

    assert (code, out) == (2, "")
    assert f"error: {project}: not a TOML file" in err


def test_an_unknown_option_is_exit_code_2_and_named(app_file, skerry_command):
    code, _, err = skerry_command("run", app_file, "--port", "0", "--set", "greet.memroy=1GiB")

    assert code == 2
    assert "unknown option 'memroy'" in err


def test_a_function_lives_from_deploy_to_delete(app_file, skerry_command, own_home):
    code, out, err = skerry_command("deploy", app_file, "--port", "0")
    try:
        assert code == 0
        assert "started an engine at http://127.0.0.1:" in err
        assert "greet  greet-00001  http://127.0.0.1:" in out
        assert skerry_command("deploy", app_file)[2] == "unchanged: app greetings\n"
        assert skerry_command("invoke", "greet", "--data", '"Ada"') == (0, '"Hello, Ada"\n', "")
        code, _, err = skerry_command("invoke", "greet", "--data", "7")
        assert code == 2
        assert err.startswith("error: ")
        assert skerry_command("logs", "greet") == (0, "greeting Ada\n", "")
        assert "so --port changed nothing" in skerry_command("deploy", app_file, "--port", "9")[2]
        job = skerry_command("jobs", "submit", "greet", "--data", "7")[1].strip()
        assert skerry_command("jobs", "result", job)[0] == 2  # the input is wrong, now and then
        assert skerry_command("jobs", "retry", job)[:2] == (0, "queued\n")
        assert skerry_command("jobs", "result", job, "--wait", "20")[0] == 2
        assert json.loads(skerry_command("jobs", "list", "--json")[1])[0]["attempts"] == 2
        assert skerry_command("jobs", "cancel", job)[:2] == (0, "failed\n")
        assert json.loads(skerry_command("describe", "greet", "--json")[1])["app"] == "greetings"
        assert skerry_command("engine", "start", "--port", "0")[0] == 2
        assert skerry_command("delete", "greetings")[0] == 0
        assert json.loads(skerry_command("list", "--json")[1]) == []
    finally:
        assert skerry_command("engine", "stop")[0] == 0
    assert skerry_command("engine", "status")[0] == 1
