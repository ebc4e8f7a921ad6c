"""Readiness is false whenever no worker can serve."""

import os
import signal

import pytest

from support.engine_process import wait_until
from support.raw_http import request

APP = """
from pathlib import Path
app = skerry.App("slow")

@app.function
class Model:
    def load(self):
        folder = Path(os.environ["FOLDER"])
        (folder / "loads").open("a").write("x")
        while not (folder / "weights").exists():
            time.sleep(0.005)

    def __call__(self, name: str) -> int:
        folder = Path(os.environ["FOLDER"])
        (folder / f"{name}-runs").touch()
        while not (folder / name).exists():
            time.sleep(0.005)
        return os.getpid()
"""


@pytest.fixture
def server(start_runtime, tmp_path):
    return start_runtime(APP, function="model", environment={"FOLDER": str(tmp_path)})


def readiness(server):
    return server.get("/health/readiness").status


def loads(folder):
    file = folder / "loads"
    return len(file.read_text()) if file.exists() else 0


def test_readiness_is_false_until_a_worker_has_loaded_and_requests_wait_for_it(server, tmp_path):
    (tmp_path / "first").touch()
    wait_until(lambda: loads(tmp_path) == 1)
    with server.connect() as client:
        client.send(request("/", "first"))
        assert readiness(server) == 503
        assert server.get("/health/liveness").status == 200
        (tmp_path / "weights").touch()
        assert client.read_answer().status == 200
    assert readiness(server) == 200


def test_readiness_is_false_while_the_only_worker_is_being_replaced(server, tmp_path):
    (tmp_path / "weights").touch()
    (tmp_path / "any").touch()
    wait_until(lambda: readiness(server) == 200)
    pid = server.call("/", "any").json()
    (tmp_path / "weights").unlink()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: loads(tmp_path) == 2)
    assert readiness(server) == 503
    (tmp_path / "weights").touch()
    wait_until(lambda: readiness(server) == 200)
    assert server.call("/", "any").json() != pid


def test_readiness_is_false_from_sigterm_on(server, tmp_path):
    (tmp_path / "weights").touch()
    wait_until(lambda: readiness(server) == 200)
    with server.connect() as running, server.connect() as probe:
        running.send(request("/", "last"))
        wait_until(lambda: (tmp_path / "last-runs").exists())
        ready = request("/health/readiness", b"", method="GET")
        probe.send(ready)
        assert probe.read_answer().status == 200
        server.terminate()

        def is_unready():
            probe.send(ready)
            return probe.read_answer().status == 503

        wait_until(is_unready)
        (tmp_path / "last").touch()
        assert running.read_answer().status == 200
    assert server.wait() == 0
