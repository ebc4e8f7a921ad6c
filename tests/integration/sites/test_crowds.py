"""Clients that open more connections than an engine has descriptors for, and never say who they are."""

import contextlib
import resource
import selectors
import socket

import pytest

from support.engine_process import Engine, wait_until, write_app

FILES = 256
APP = """
app = skerry.App("crowded")

@app.function(scale=skerry.Scale(initial=0))
def echo(text: str) -> str:
    return text
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """An engine that has few descriptors, and can be called by other machines."""
    folder = tmp_path_factory.mktemp("small")
    engine = Engine(folder / "small", public=True)
    engine.start(
        write_app(folder / "app.py", APP), before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    )
    yield engine
    engine.close()


@contextlib.contextmanager
def crowd(port):
    """Open more connections than there are descriptors, and leave them idle."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(FILES + 50)]


def refused(engine):
    lines = engine.control("GET", "/metrics").body.decode().splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith("skerry_refused_connections_total")))


def is_served(engine):
    try:
        return engine.call("echo", "later").status == 200
    except ConnectionError:  # the crowd has not left yet
        return False


def test_idle_connections_of_other_machines_keep_nobody_on_this_one_out(small):
    before = refused(small)
    with crowd(small.public_port):
        wait_until(lambda: refused(small) >= before + 100, what="the refusal of what is too much")
        assert small.control("POST", "/function/echo", "its owner").json() == "its owner"
        assert small.call("echo", "a neighbour").json() == "a neighbour"


def test_idle_connections_of_this_machine_do_not_keep_the_owner_out(small):
    before = refused(small)
    with crowd(small.port):
        wait_until(lambda: refused(small) >= before + 100, what="the refusal of what is too much")
        assert small.control("POST", "/function/echo", "its owner").json() == "its owner"
    wait_until(lambda: is_served(small), what="room for calls")
    told = [line for line in small.stderr().splitlines() if "connections were refused" in line]
    assert 1 <= len(told) <= 10


def test_who_is_turned_away_is_told_when_to_come_back(small):
    before = refused(small)
    answers = []
    with crowd(small.port) as connections, selectors.DefaultSelector() as reading:
        wait_until(lambda: refused(small) >= before + 100, what="the refusal of what is too much")
        for connection in connections:
            reading.register(connection, selectors.EVENT_READ)
        for key, _ in reading.select(20):
            with contextlib.suppress(ConnectionError):  # those that are far too many are told nothing
                answers.append(key.fileobj.recv(4096))
    told = [answer for answer in answers if answer]
    assert told
    assert all(answer.startswith(b"HTTP/1.1 503 ") and b"retry-after: " in answer.lower() for answer in told)
