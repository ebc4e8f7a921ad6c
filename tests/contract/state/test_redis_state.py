"""What the store in Redis promises beyond the contract: its names, its secrets, and what a lost server means."""

import importlib.util
import sys
import tempfile
from pathlib import Path

import pytest

from skerry.errors import ConfigError, StorageError
from skerry.store.state import State, open_state
from support.redis_server import MISSING, RedisServer, find_program

SECRET = "hunter2"

pytestmark = pytest.mark.skipif(find_program() is None or importlib.util.find_spec("redis") is None, reason=MISSING)


@pytest.fixture
def own_server():
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), password=SECRET)
        yield server
        server.close()


def test_what_was_confirmed_is_there_after_the_server_was_killed(own_server, monkeypatch):
    monkeypatch.setenv("SKERRY_STATE_PASSWORD", SECRET)
    store = open_state(own_server.url)
    state = State(lambda: store, "app/s")
    for number in range(1, 51):
        assert state.increment("n") == number
    lease = state.lock("door", ttl_s=1000).acquire()
    own_server.kill()
    with pytest.raises(StorageError, match=r"the state at unix://.* failed") as refused:
        state.increment("n")
    assert SECRET not in refused.value.message
    own_server.start()
    assert state.increment("n") == 51
    state.put("rules", 1, lease=lease)
    own_server.kill()
    own_server.start()
    assert state.increment("n") == 52  # nobody was told of the death that nobody noticed
    store.close()


def test_a_wrong_password_is_told_without_it(own_server, monkeypatch):
    store = open_state(own_server.url.replace("?db=0", f"?db=0&password=x{SECRET}"))
    with pytest.raises(StorageError) as refused:
        State(lambda: store, "app/s").get("a")
    assert SECRET not in refused.value.message
    assert store.url == own_server.url
    store.close()


def test_a_state_leaves_nothing_but_its_revision_when_its_keys_are_gone(redis_url):
    import redis

    store = open_state(redis_url)
    state = State(lambda: store, "app/empty")
    with state.batch() as batch:
        batch.put("a", 1, ttl_s=0.001)
        batch.put("b", 1, ttl_s=1000)
        batch.append("l", 1)
        batch.add("s", 1)
    state.pop("l")
    state.discard("s", 1)
    state.delete("b")
    while state.get("a") is not None:
        pass
    for _ in range(20):  # every sixteenth change removes some of what is over
        state.increment("c")
    state.delete("c")
    with redis.Redis.from_url(redis_url) as client:
        assert list(client.scan_iter("skerry:{app/empty}:*")) == [b"skerry:{app/empty}:r"]
    store.close()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://ada:{SECRET}@host:6380/2", "redis://host:6380/2"),
        (f"rediss://:{SECRET}@[::1]:6379/0?ssl_cert_reqs=none", "rediss://[::1]:6379/0"),
        (f"redis://host?password={SECRET}&db=3", "redis://host?db=3"),
        (f"unix://ada:{SECRET}@/run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    store = open_state(url)
    assert store.url == shown
    assert SECRET not in repr(store)
    store.close()


@pytest.mark.parametrize(
    "url", [f"redis://[{SECRET}", f"redis://host:{SECRET}/0", f"redis://host/0?socket_timeout={SECRET}"]
)
def test_an_address_that_cannot_be_read_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as refused:
        open_state(url)
    assert SECRET not in refused.value.message


def test_without_the_extra_its_name_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match=r'pip install "skerry\[redis\]"'):
        open_state("redis://host")
