"""A Redis that the tests of one process share."""

import importlib.util
import tempfile
from pathlib import Path

import pytest

from support.redis_server import MISSING, RedisServer, find_program


@pytest.fixture(scope="session")
def redis_server():
    if find_program() is None or importlib.util.find_spec("redis") is None:
        pytest.skip(MISSING)
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        yield server
        server.close()


@pytest.fixture
def redis_url(redis_server):
    return redis_server.url
