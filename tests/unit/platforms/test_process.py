import subprocess
import sys

import pytest

from skerry.platforms.engine.process import end_process
from skerry.platforms.home import default_home, socket_path

STUBBORN = (
    "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('ready', flush=True); sys.stdin.read(); signal.pause()"
)


def start(code):
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    )
    with process.stdout:
        assert process.stdout.readline() == b"ready\n"
    return process


def test_a_polite_process_ends_by_sigterm():
    process = start("import signal; print('ready', flush=True); signal.pause()")

    end_process(process, timeout_s=10)

    assert process.returncode == -15


def test_a_stubborn_process_is_killed_when_the_time_is_over():
    process = start(STUBBORN)

    end_process(process, timeout_s=0.05)

    assert process.returncode == -9


def test_ending_an_ended_process_does_nothing():
    process = start("print('ready', flush=True)")
    process.wait(10)

    end_process(process, timeout_s=10)

    assert process.returncode == 0


@pytest.mark.parametrize(("value", "expected"), [("/x/y", "/x/y"), ("", None)])
def test_the_default_home_follows_the_environment(monkeypatch, tmp_path, value, expected):
    monkeypatch.setenv("SKERRY_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert str(default_home()) == (expected or str(tmp_path / ".skerry"))
    assert socket_path(default_home()).name == "engine.sock"
