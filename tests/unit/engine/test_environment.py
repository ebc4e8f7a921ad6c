import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skerry.engine.home import Home
from skerry.engine.sources.environment import ENGINE_DIGEST, Environment, ensure
from skerry.errors import ConfigError, EnvironmentBuildError
from support.wheels import make_wheel, pip_settings

PROBE = "import tide, skerry, skerry.errors, msgpack, pydantic; print(tide.__version__, skerry.__file__)"


BUILDER = """
import sys
from skerry.engine.sources.environment import ensure
from skerry.engine.home import Home
ensure(("tide==1.2",), Home(sys.argv[1]), report=lambda line: print(line, flush=True))
"""


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def tides(wheels, monkeypatch):
    """Has pip find two versions of a library."""
    make_wheel(wheels, "tide", "1.2")
    make_wheel(wheels, "tide", "2.1")
    for name, value in pip_settings(wheels).items():
        monkeypatch.setenv(name, value)


def probe(environment):
    done = subprocess.run([environment.python, "-I", "-c", PROBE], capture_output=True, text=True, timeout=120, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_without_requirements_the_engines_own_interpreter_serves(home):
    assert ensure((), home) == Environment(python=Path(sys.executable), digest=ENGINE_DIGEST)
    assert not list(home.environments.iterdir())


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("", "is not a library"),
        ("--pre", "is not a library"),
        ("-r other.txt", "is not a library"),
        ("skerry==0.0.1", "drop the version"),
        ("Skerry[learn] >= 1", "drop the version"),
        ("skerry[nothing]", "no extra 'nothing'"),
    ],
)
def test_what_is_no_plain_library_is_refused_before_anything_is_built(home, requirement, message):
    with pytest.raises(ConfigError, match=message):
        ensure((requirement,), home)
    assert not list(home.environments.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("has_pip", [True, False])
def test_requirements_that_cannot_be_installed_fail_with_the_end_of_pips_output(home, monkeypatch, tmp_path, has_pip):
    monkeypatch.setattr("skerry.engine.sources.environment._has_pip", lambda: has_pip)
    for name, value in pip_settings(tmp_path).items():
        monkeypatch.setenv(name, value)
    elsewhere = tmp_path / "elsewhere"  # what the engine can import is not installed in the environment
    (elsewhere / "skerry_test_no_such_library-1.dist-info").mkdir(parents=True)
    (elsewhere / "skerry_test_no_such_library-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: skerry-test-no-such-library\nVersion: 1\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    lines = []
    with pytest.raises(EnvironmentBuildError, match="No matching distribution found for") as caught:
        ensure(("skerry-test-no-such-library==1",), home, report=lines.append)
    assert "No matching distribution" in caught.value.details["output"]
    assert "making a Python environment" in lines
    (folder,) = (path for path in home.environments.iterdir() if path.is_dir())
    assert not (folder / ".complete").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_environments_hold_conflicting_versions_and_both_import_skerry(home, tides):
    old = ensure(("tide==1.2",), home)
    lines = []
    new = ensure(("tide==2.1",), home, report=lines.append)
    assert old.digest != new.digest
    assert probe(old)[0] == "1.2"
    assert probe(new)[0] == "2.1"
    assert Path(probe(new)[1]).is_relative_to(home.environments / new.digest)
    assert lines[-1] == "the environment is ready"
    # A link to another place, as after an upgrade of the engine, is set right; nothing is built again.
    lines.clear()
    (link,) = (home.environments / new.digest / "lib").glob("python*/site-packages/skerry")
    link.unlink()
    link.symlink_to("/nowhere")
    assert ensure((" tide==2.1", "tide==2.1"), home, report=lines.append) == new
    assert lines == []
    assert probe(new)[0] == "2.1"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_a_killed_builder_left_is_built_again_once_by_builders_that_wait_for_each_other(home, tides):
    with subprocess.Popen([sys.executable, "-c", BUILDER, str(home.path)], stdout=subprocess.PIPE, text=True) as killed:
        while not killed.stdout.readline().startswith("installing"):
            assert killed.poll() is None
        killed.kill()  # its pip may go on; the builders below then wait for that, too
    (left,) = (path for path in home.environments.iterdir() if path.is_dir())
    lines, done = [], []
    builders = [
        threading.Thread(target=lambda: done.append(ensure(("tide==1.2",), home, report=lines.append)))
        for _ in range(2)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert [environment.digest for environment in done] == [left.name, left.name]
    assert lines.count("removing an unfinished environment") == 1
    assert lines.count("the environment is ready") == 1
    assert any("waiting for it" in line for line in lines)
    assert probe(done[0])[0] == "1.2"
