import uuid

import pytest

from skerry.store.state import State, open_state
from support.state_process import StateProcess

BACKENDS = ("sqlite", "redis")


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return request.getfixturevalue("redis_url") if request.param == "redis" else str(tmp_path / "state")


@pytest.fixture
def store(url):
    store = open_state(url)
    yield store
    store.close()


@pytest.fixture
def state(store):
    return State(lambda: store, f"app/s{uuid.uuid4().hex}")


@pytest.fixture
def another(url, state):
    """The same state as another process would see it, through a store of its own."""
    store = open_state(url)
    yield State(lambda: store, state.group)
    store.close()


@pytest.fixture
def start_process(store, url):
    """Start other processes that work on a state; none of them outlives the test."""
    started = []

    def start(group, *arguments):
        started.append(StateProcess(url, group, *arguments))
        return started[-1]

    yield start
    for process in started:
        process.close()
