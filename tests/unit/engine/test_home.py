import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skerry.engine.home import EngineInfo, Home
from skerry.errors import ConfigError, EngineLockedError

OWNER = """
import os, sys, time
from skerry.engine.home import EngineInfo, Home
home = Home(sys.argv[1])
lock = home.lock()
home.publish_engine(EngineInfo(pid=os.getpid(), address="http://127.0.0.1:8080", version="0.1.0"))
child = os.fork()
if child == 0:
    time.sleep(600)
print(child, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def owner(home):
    """Another process that owns the folder and has forked a child; yields the process and the child's id."""
    with subprocess.Popen([sys.executable, "-c", OWNER, str(home.path)], stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        yield process, child
        process.kill()
        os.kill(child, signal.SIGKILL)


def test_every_file_is_inside_the_folder_and_making_a_home_touches_nothing(home):
    parts = (home.socket, home.lock_file, home.engine_file, home.token_file, home.records)
    folders = (home.sources, home.environments, home.logs, home.models)
    assert {part.parent for part in parts + folders} == {home.path}
    assert not home.path.exists()


def test_default_reads_the_variable_and_falls_back_to_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SKERRY_HOME", str(tmp_path / "elsewhere"))
    assert Home.default().path == tmp_path / "elsewhere"
    monkeypatch.setenv("SKERRY_HOME", "")
    assert Home.default().path == Path.home() / ".skerry"


def test_a_folder_too_deep_for_a_socket_is_refused_with_the_limit():
    with pytest.raises(ConfigError, match=r"too deep.*107.*SKERRY_HOME"):
        Home("/" + "d" * 100)


def test_create_makes_private_folders(home):
    home.create()
    home.create()
    for folder in (home.path, home.sources, home.environments, home.logs, home.models):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_empty_open_folder_is_closed(home):
    home.path.mkdir()
    home.path.chmod(0o755)
    home.create()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_an_open_folder_with_other_things_in_it_is_left_alone(home):
    home.path.mkdir()
    home.path.chmod(0o755)
    (home.path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="open to other users"):
        home.create()
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o755


def test_a_file_in_the_folders_place_is_a_config_error(home):
    home.path.touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        home.create()


def test_token_is_made_once_and_readable_by_its_owner_only(home):
    token = home.token()
    assert len(token) >= 40
    assert home.token() == token
    assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
    assert [path.name for path in home.path.iterdir() if path.is_file()] == ["token"]


def test_first_tokens_asked_for_at_once_are_the_same(home):
    home.create()
    barrier = threading.Barrier(8)
    tokens = []

    def ask():
        barrier.wait()
        tokens.append(home.token())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tokens) == 8
    assert len(set(tokens)) == 1


def test_engine_info_comes_back_as_published_and_is_gone_after_release(home):
    info = EngineInfo(pid=os.getpid(), address="http://127.0.0.1:8080", version="0.1.0")
    assert home.read_engine() is None
    with home.lock():
        home.publish_engine(info)
        assert home.read_engine() == info
        assert json.loads(home.engine_file.read_text())["address"] == info.address
    assert home.read_engine() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x", "address": "", "version": ""}'])
def test_a_damaged_engine_file_reads_as_no_engine(home, text):
    home.create()
    home.engine_file.write_text(text)
    assert home.read_engine() is None


def test_a_second_lock_in_the_same_process_is_refused_and_the_first_stays(home):
    with home.lock():
        for _ in range(2):
            with pytest.raises(EngineLockedError) as caught:
                Home(home.path).lock()
            assert caught.value.details["pid"] == os.getpid()
        code = f"from skerry.engine.home import Home; Home({str(home.path)!r}).lock()"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert "EngineLockedError" in second.stderr
    with home.lock():
        pass


def test_release_twice_is_fine(home):
    lock = home.lock()
    lock.release()
    lock.release()
    home.lock().release()


def test_another_engine_is_named_by_process_id_and_address(home, owner):
    process, _ = owner
    with pytest.raises(EngineLockedError, match=rf"process id {process.pid}, at http://127.0.0.1:8080") as caught:
        home.lock()
    assert caught.value.details == {"pid": process.pid, "address": "http://127.0.0.1:8080"}


def test_a_killed_engines_folder_is_free_though_its_forked_child_lives(home, owner):
    process, child = owner
    home.socket.touch()
    left = home.sources / ".taking-killed"
    left.mkdir()
    process.kill()
    process.wait()
    os.kill(child, 0)  # it is alive
    with home.lock():
        assert home.read_engine() is None
        assert not home.socket.exists()
        assert not left.exists()


def test_a_forked_child_that_ends_orderly_does_not_take_the_lock_away(home):
    with home.lock() as lock:
        child = os.fork()
        if child == 0:
            lock.release()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        code = f"from skerry.engine.home import Home; Home({str(home.path)!r}).lock()"
        second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert "EngineLockedError" in second.stderr


def test_the_lock_is_not_inherited_by_started_programs(home):
    with home.lock():
        listing = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False)
        assert "engine.lock" not in listing.stdout
