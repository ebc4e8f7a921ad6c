"""Apps in subfolders and packages, deployed with the command from their working directory."""

import os

import pytest

from support.command_line import run_command
from support.wheels import make_wheel, pip_settings

APP = """\
import os

import skerry
{imports}

app = skerry.App("shop")


@app.function
def price(n: int) -> list:
    return {result}
"""
SETTINGS = """\
[app]
target = "src/app.py:app"
requirements = ["tide==1.2"]

[function.price]
memory = "300MiB"
timeout = "7s"
"""


@pytest.fixture
def write(tmp_path):
    folder = tmp_path / "work"

    def write(files):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    return write


def command(engine, folder, *words):
    return run_command(words, folder=folder, environment={**os.environ, "SKERRY_HOME": str(engine.home)}, timeout_s=120)


def test_the_project_file_holds_for_a_target_in_a_subfolder(make_engine, wheels, write):
    make_wheel(wheels, "tide", "1.2")
    engine = make_engine(environment=pip_settings(wheels)).start()
    source = APP.format(
        imports="import tide\nfrom mypkg.util import x\nfrom shared.tool import y",
        result="[tide.__version__, x, y, sorted(os.listdir())]",
    )
    files = {"skerry.toml": SETTINGS, "src/app.py": source, "src/mypkg/util.py": "x = 1\n", "shared/tool.py": "y = 2\n"}
    folder = write(files)

    deployed = command(engine, folder, "deploy")
    described = command(engine, folder, "describe", "price").stdout.splitlines()

    assert deployed.returncode == 0, deployed.stderr
    assert "copied 4 files, " in deployed.stderr
    assert engine.call("price", 1).json() == ["1.2", 1, 2, ["shared", "skerry.toml", "src"]]
    assert ["memory", "300MiB"] in [line.split()[:2] for line in described]
    assert ["timeout", "7s"] in [line.split()[:2] for line in described]
    named = command(engine, folder, "deploy", "src/app.py")
    assert "unchanged: app shop" in named.stderr
    write({"skerry.toml": f"{SETTINGS}\n[function.nope]\nmemory = '1GiB'\n"})
    for words in (["deploy"], ["deploy", "src/app.py:app"]):
        refused = command(engine, folder, *words)
        assert refused.returncode == 2
        assert "no function 'nope' in this app" in refused.stderr


def test_a_package_is_deployed_by_its_name_from_the_folder_that_holds_it(engine, write):
    source = APP.format(imports="from . import other\nfrom .util import x", result="[other.y, x, sorted(os.listdir())]")
    files = {"mypkg/__init__.py": "", "mypkg/app.py": source, "mypkg/util.py": "x = 1\n", "mypkg/other.py": "y = 2\n"}
    folder = write({**files, "letters.txt": "of nobody's concern"})

    by_path = command(engine, folder, "deploy", "mypkg/app.py")
    by_name = command(engine, folder, "deploy", "mypkg.app:app")

    assert by_path.returncode == 2
    assert "hint: app.py belongs to a package: name it as a module, `skerry deploy mypkg.app`" in by_path.stderr
    assert by_name.returncode == 0, by_name.stderr
    assert engine.call("price", 1).json() == [2, 1, ["mypkg"]]
    engine.kill()
    assert engine.start().call("price", 1).json() == [2, 1, ["mypkg"]]


def test_a_module_that_was_left_behind_is_told_how_to_be_copied(engine, write):
    source = APP.format(imports="from lib.features import x", result="[x]")
    folder = write({"service.py": source, "lib/features.py": "x = 1\n"})

    alone = command(engine, folder, "deploy", "service.py")
    write({"skerry.toml": ""})
    together = command(engine, folder, "deploy", "service.py")

    assert alone.returncode == 2
    assert "No module named 'lib'" in alone.stderr
    assert f"only service.py was copied, and lib beside it was not; put a skerry.toml into {folder}" in alone.stderr
    assert together.returncode == 0, together.stderr
    assert engine.call("price", 1).json() == [1]
