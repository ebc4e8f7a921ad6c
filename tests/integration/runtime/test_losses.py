"""Workers and zygotes that are killed while requests run."""

import contextlib
import os
import signal
import threading
import time

import pytest

from support.engine_process import wait_until
from support.raw_http import request
from support.runtime_process import children, is_alive

APP = """
app = skerry.App("losses")

@app.function(idempotent=IDEMPOTENT)
def work(x: int) -> int:
    time.sleep(0.002)
    return x * 2

@app.function
def whoami() -> int:
    return os.getpid()

@app.function(concurrency=4)
async def meet(x: int) -> int:
    import asyncio
    await asyncio.sleep(0.005)
    return x * 2
"""


class Load:
    """Clients that call until they are told to stop; statuses and wrong answers are kept."""

    def __init__(self, server, path, *, clients=4):
        self.statuses = []
        self.wrong = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(server, path, n)) for n in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _call(self, server, path, seed):
        number = seed * 1_000_000
        with server.connect(timeout_s=60) as client:
            while not self._stop.is_set():
                number += 1
                answer = client.call(path, number)
                self.statuses.append(answer.status)
                if answer.status == 200 and answer.json() != number * 2:
                    self.wrong.append((number, answer))


def kill(pid):
    """Kill a process; return whether it was alive. One that ends with another may be gone at any moment."""
    with contextlib.suppress(ProcessLookupError):
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def kill_workers(server, load, *, times):
    """Kill workers that have been at work for a while, one after the other."""
    for _ in range(times):
        answered = load.statuses.count(200)
        # Longer than a worker must live to be thought healthy; a call is tried twice and no more.
        wait_until(lambda answered=answered: load.statuses.count(200) > answered + 100)
        for pid in children(server.pid):
            if pid != server.zygote() and kill(pid):
                break


@pytest.mark.parametrize("idempotent", [True, False])
def test_requests_survive_killed_workers_as_far_as_their_function_allows(start_runtime, idempotent):
    server = start_runtime(APP.replace("IDEMPOTENT", str(idempotent)), function="work", workers=2)
    with Load(server, "/function/work") as load:
        kill_workers(server, load, times=4)
        answered = load.statuses.count(200)
        wait_until(lambda: load.statuses.count(200) > answered + 50)
    assert not load.wrong
    assert set(load.statuses) <= ({200} if idempotent else {200, 502})


def test_a_killed_concurrent_worker_costs_only_the_requests_that_it_ran(start_runtime):
    server = start_runtime(APP.replace("IDEMPOTENT", "False"), function="meet")
    with Load(server, "/function/meet", clients=8) as load:
        kill_workers(server, load, times=2)
        answered = load.statuses.count(200)
        wait_until(lambda: load.statuses.count(200) > answered + 50)
    assert not load.wrong
    assert set(load.statuses) <= {200, 502}
    assert load.statuses.count(502) <= 2 * 4


def test_a_crash_of_native_code_leaves_its_line_in_the_log(start_runtime):
    server = start_runtime(
        """
        app = skerry.App("crash")

        @app.function
        def crash() -> None:
            os.kill(os.getpid(), 11)
        """,
        function="crash",
    )

    answer = server.call("crash", b"")

    assert answer.status == 502
    assert "skerry logs crash shows" in answer.json()["detail"]
    log = server.log()
    assert "Fatal Python error: Segmentation fault" in log
    assert "in crash" in log


BATCH = """
app = skerry.App("batch")

@app.function(timeout="20s")
def work(what: str) -> str:
    if what == "die":
        os._exit(1)
    if what == "sleep":
        time.sleep(15)
    return what
"""


def test_fast_calls_do_not_suffer_from_the_one_behind_them(start_runtime):
    server = start_runtime(BATCH, function="work")
    with server.connect() as client:
        for last, status in (("die", 502), ("sleep", None)):
            for _ in range(300):  # a function that answers fast is given several calls at a time
                assert client.call("/function/work", "x" * 100).status == 200
            names = ["a", "b", "c"]
            client.send(b"".join(request("/function/work", name) for name in [*names, last]))
            began = time.monotonic()
            assert [client.read_answer().json() for _ in names] == names
            assert time.monotonic() - began < 5
            if status is not None:
                assert client.read_answer().status == status


def test_the_death_of_the_zygote_harms_no_request_and_workers_start_again(start_runtime):
    server = start_runtime(APP.replace("IDEMPOTENT", "True"), function="whoami")
    first = server.call("whoami", b"").json()
    zygote = server.zygote()
    os.kill(zygote, signal.SIGKILL)
    assert server.call("whoami", b"").json() == first
    wait_until(lambda: not is_alive(zygote))
    os.kill(first, signal.SIGKILL)
    answer = wait_until(lambda: (found := server.call("whoami", b"")).status == 200 and found)
    assert answer.json() != first
    assert server.zygote() not in (None, zygote)


def test_the_death_of_zygote_and_worker_at_once_is_survived(start_runtime):
    server = start_runtime(APP.replace("IDEMPOTENT", "True"), function="work")
    with Load(server, "/function/work", clients=2) as load:
        for _ in range(2):
            answered = load.statuses.count(200)
            wait_until(lambda answered=answered: load.statuses.count(200) > answered + 100)
            for pid in children(server.pid):
                kill(pid)
        answered = load.statuses.count(200)
        wait_until(lambda: load.statuses.count(200) > answered + 20)
    assert not load.wrong
    assert set(load.statuses) == {200}


def test_killed_workers_leave_no_zombies(start_runtime):
    server = start_runtime(APP.replace("IDEMPOTENT", "True"), function="whoami")
    for _ in range(3):
        pid = server.call("whoami", b"").json()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: pid not in children(server.pid))
        assert server.call("whoami", b"").status == 200
