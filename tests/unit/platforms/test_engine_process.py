import os
import select
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from skerry.errors import EngineLockedError, EngineNotRunningError, PlatformError
from skerry.platforms.engine import EnginePlatform, start_engine, stop_engine

PROGRAM = """
import signal, sys
from pathlib import Path
from skerry.platforms.engine import start_engine
engine = start_engine(Path(sys.argv[1]), port=0, leashed=True, temporary=True)
print(engine.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def engine(home):
    started = start_engine(home, port=0)
    yield started
    started.stop()


def wait_until_gone(pidfd):
    # Readable when the process has ended.
    assert select.select([pidfd], [], [], 20)[0]
    os.close(pidfd)


def test_a_started_engine_is_ready(engine, home):
    assert engine.platform.ready()
    assert engine.platform.engine()["pid"] == engine.pid
    assert engine.address.startswith("http://127.0.0.1:")
    assert engine.platform.functions() == []


def test_a_stopped_engine_is_gone(home):
    engine = start_engine(home, port=0)
    pidfd = os.pidfd_open(engine.pid)
    engine.stop()

    assert engine.exit_code is not None
    wait_until_gone(pidfd)
    with pytest.raises(EngineNotRunningError):
        EnginePlatform.of_home(home).engine()


def test_any_caller_can_stop_the_engine_of_a_folder(engine, home):
    assert stop_engine(home) == engine.pid
    with pytest.raises(EngineNotRunningError):
        stop_engine(home)


def test_a_second_engine_on_a_folder_is_refused(engine, home):
    with pytest.raises(EngineLockedError, match=f"process id {engine.pid}"):
        start_engine(home, port=0)

    assert engine.platform.ready()


def test_an_engine_that_cannot_listen_says_why(engine, tmp_path):
    port = int(engine.address.rpartition(":")[2])

    with pytest.raises(PlatformError, match=f"cannot listen on 127.0.0.1:{port}"):
        start_engine(tmp_path / "other", port=port)


def test_a_leashed_engine_ends_with_the_process_that_started_it(home):
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(home)], stdout=subprocess.PIPE)
    with program.stdout:
        pidfd = os.pidfd_open(int(program.stdout.readline()))
    program.send_signal(signal.SIGKILL)
    program.wait()

    wait_until_gone(pidfd)
    assert not home.exists()


def test_a_leashed_engine_outlives_the_thread_that_started_it(home):
    with ThreadPoolExecutor(1) as threads:
        engine = threads.submit(start_engine, home, port=0, leashed=True).result()
    try:
        pidfd = os.pidfd_open(engine.pid)
        assert select.select([pidfd], [], [], 0.5)[0] == []
        os.close(pidfd)
        assert engine.platform.ready()
    finally:
        engine.stop()


def test_an_empty_folder_that_others_may_read_is_closed_to_them(home):
    home.mkdir(mode=0o755)
    started = start_engine(home, port=0)
    started.stop()
    assert home.stat().st_mode & 0o777 == 0o700
