"""What the store in a folder promises beyond the contract: its files, and what other programs do to them."""

import os
import sqlite3
import threading

import pytest

from skerry.errors import ConfigError, StorageError
from skerry.store.state import SqliteStateStore, State, open_state


@pytest.fixture
def store(tmp_path):
    store = open_state(tmp_path / "state")
    yield store
    store.close()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "app" / "s.sqlite3"


@pytest.fixture
def state(store):
    return State(lambda: store, "app/s")


def test_a_file_of_a_newer_version_is_refused(store, state, file):
    state.put("a", 1)
    store.close()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigError, match="written by a newer Skerry"):
        state.get("a")


def test_what_is_no_file_of_a_state_is_told_with_its_path(state, file):
    file.parent.mkdir(parents=True)
    file.write_text("this is no database, and it is long enough to see that" * 20)
    with pytest.raises(StorageError, match=r"s\.sqlite3 failed: file is not a database"):
        state.get("a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(state, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        state.put("a", 1)


def test_the_log_is_bounded_while_many_write(state, file):
    big = bytes(200_000)
    for _ in range(200):
        state.put("a", big)
    assert (file.parent / "s.sqlite3-wal").stat().st_size < 30 * 2**20


def test_what_is_over_is_removed_by_those_who_write(tmp_path, file):
    now_ms = [1_000_000]
    store = SqliteStateStore(tmp_path / "state", clock_ms=lambda: now_ms[0])
    state = State(lambda: store, "app/s")
    with state.batch() as batch:
        for number in range(30):
            batch.append(f"l{number}", 1, 2, ttl_s=5)
    now_ms[0] += 5_000
    state.put("a", 1)
    state.put("a", 2)
    store.close()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT (SELECT count(*) FROM entries), (SELECT count(*) FROM elements)").fetchone() == (
        1,
        0,
    )
    connection.close()


def test_a_store_that_was_closed_is_opened_again(store, state):
    state.put("a", 1)
    store.close()
    assert state.get("a") == 1


def test_one_store_serves_many_threads(state):
    threads = [threading.Thread(target=lambda: [state.increment("n") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.get("n") == 200


@pytest.mark.parametrize("url", ["", "file:relative", "file://host/path", "http://host", "sqlite:///x", "a\0b"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ConfigError, match="known are"):
        open_state(url)
