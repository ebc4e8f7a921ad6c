"""The front is killed: nothing of it may live on, whatever its workers are doing."""

import os
import signal

import pytest

from support.engine_process import wait_until
from support.runtime_process import is_alive

APP = """
from pathlib import Path
app = skerry.App("stuck")

def told():
    Path(os.environ["TOLD"]).write_text(str(os.getpid()))

@app.function
def loop() -> None:
    told()
    while True:
        pass

@app.function
def wait() -> None:
    told()
    time.sleep(600)

@app.function
def compute() -> None:
    import numpy as np
    told()
    a = np.ones((3000, 3000))
    while True:
        a @ a

@app.function
def thread() -> None:
    import threading
    threading.Thread(target=time.sleep, args=(600,)).start()
    told()
    time.sleep(600)

@app.function(concurrency=2)
async def never() -> None:
    import asyncio
    told()
    await asyncio.sleep(600)
"""


@pytest.mark.parametrize("function", ["loop", "wait", "compute", "thread", "never"])
def test_no_process_outlives_a_killed_front(start_runtime, tmp_path, function):
    told = tmp_path / "told"
    server = start_runtime(APP, function=function, environment={"TOLD": str(told)})
    with server.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        worker = int(wait_until(lambda: told.exists() and told.read_text()))
        zygote = server.zygote()
        assert is_alive(worker)
        assert is_alive(zygote)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        wait_until(lambda: not server.processes())


def test_an_idle_runtime_leaves_nothing_behind_on_sigterm(start_runtime):
    server = start_runtime(APP, environment={"TOLD": os.devnull})
    wait_until(lambda: server.get("/health/readiness").status == 200)
    server.terminate()
    assert server.wait() == 0
    wait_until(lambda: not server.processes())
