import threading
import time

import pytest

from support.engine_process import wait_until, write_app

APP = """
app = skerry.App("limits")

@app.function(memory="200MiB", scale=skerry.Scale(max=1))
def fill(mebibytes: int) -> int:
    block = bytearray(mebibytes * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    return len(block)

@app.function(timeout="1500ms", scale=skerry.Scale(max=1))
def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()

@app.function(timeout="1500ms", concurrency=4, scale=skerry.Scale(max=1))
async def doze(seconds: float) -> int:
    import asyncio
    await asyncio.sleep(seconds)
    return os.getpid()

@app.function(files=64, scale=skerry.Scale(max=1))
def open_files(count: int) -> int:
    files = [open("/dev/null") for _ in range(count)]
    for file in files:
        file.close()
    return len(files)

@app.function(scale=skerry.Scale(max=1))
def steady(x: int) -> int:
    return x + 1
"""


@pytest.fixture(scope="module")
def engine(shared_engine, tmp_path_factory):
    shared_engine.deploy(write_app(tmp_path_factory.mktemp("limits") / "app.py", APP))
    return shared_engine


def wait_for_worker(engine, function):
    """Wait until a worker is ready: a call waits for one no longer than its function's timeout."""
    wait_until(lambda: engine.function(function)["workers"]["ready"], within_s=60, what=f"a worker of {function}")


class Neighbour:
    """Calls another function all the while, and keeps its answers and the longest time between two of them.

    The longest time for which the machine stood still meanwhile is kept beside it.
    """

    def __init__(self, engine):
        self.answers, self.longest_s, self.stalled_s = [], 0.0, 0.0
        self._engine = engine
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._run, self._watch)]

    def _run(self):
        while not self._stopping.is_set():
            began = time.monotonic()
            self.answers.append(self._engine.call("steady", 1))
            self.longest_s = max(self.longest_s, time.monotonic() - began)

    def _watch(self):
        while not self._stopping.is_set():
            began = time.monotonic()
            self._stopping.wait(0.01)
            self.stalled_s = max(self.stalled_s, time.monotonic() - began)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()


def test_memory_beyond_the_limit_fails_the_request_and_spares_the_neighbour(engine):
    with Neighbour(engine) as neighbour:
        within = engine.call("fill", 40)
        beyond = [engine.call("fill", 1000) for _ in range(3)]
        after = engine.call("fill", 40)

    assert (within.status, after.status) == (200, 200)
    assert [(answer.status, answer.code) for answer in beyond] == [(500, "memory_exceeded")] * 3
    assert "raise memory" in beyond[0].json()["detail"]
    assert {(answer.status, answer.json()) for answer in neighbour.answers} == {(200, 2)}
    assert neighbour.longest_s - neighbour.stalled_s < 3


def test_a_request_over_its_timeout_ends_its_worker_and_spares_the_neighbour(engine):
    wait_for_worker(engine, "sleep")
    before = engine.call("sleep", 0).json()
    with Neighbour(engine) as neighbour:
        began = time.monotonic()
        late = engine.call("sleep", 60)
        took_s = time.monotonic() - began
        wait_for_worker(engine, "sleep")
        after = engine.call("sleep", 0).json()

    assert (late.status, late.code) == (504, "handler_timeout")
    assert 1.5 <= took_s < 6
    assert after != before
    wait_until(lambda: before not in engine.processes(), what="the end of the late worker")
    assert {(answer.status, answer.json()) for answer in neighbour.answers} == {(200, 2)}
    assert neighbour.longest_s - neighbour.stalled_s < 3


def test_an_async_request_over_its_timeout_is_ended_without_its_worker(engine):
    wait_for_worker(engine, "doze")
    before = engine.call("doze", 0).json()

    late = engine.call("doze", 60)

    assert (late.status, late.code) == (504, "handler_timeout")
    assert engine.call("doze", 0).json() == before


def test_file_descriptors_beyond_the_limit_fail_the_request(engine):
    answers = [engine.call("open_files", count) for count in (40, 100, 40)]

    assert [answer.status for answer in answers] == [200, 500, 200]
    assert answers[1].code == "handler_failed"
    assert "Too many open files" in engine.control("GET", "/functions/open_files/logs").json()["text"]


def test_a_worker_that_dies_is_told_replaced_and_recorded(engine, tmp_path):
    engine.deploy(
        write_app(
            tmp_path / "app.py",
            """
            app = skerry.App("crashes")

            @app.function
            def crash(how: str) -> str:
                if how == "exit":
                    os._exit(3)
                if how == "signal":
                    os.kill(os.getpid(), 11)
                return how
            """,
        )
    )

    answers = [engine.call("crash", how) for how in ("exit", "fine", "signal", "fine")]

    assert [answer.status for answer in answers] == [502, 200, 502, 200]
    assert answers[0].code == "worker_lost"
    assert answers[0].json()["retryable"] is True
    reasons = [event["reason"] for event in engine.events("crash", "worker_lost")]
    assert sorted(reason.partition(": ")[2] for reason in reasons) == ["exit status 3", "killed by SIGSEGV"]
    assert engine.function("crash")["last_error"] == reasons[-1]  # though a worker is there again
    text = engine.control("GET", "/functions/crash/logs?tail=100").json()["text"]
    assert all(f"skerry: {reason}\n" in text for reason in reasons)


def test_a_function_that_calls_itself_without_a_worker_left_is_told_what_it_may_be(engine, tmp_path):
    engine.deploy(
        write_app(
            tmp_path / "app.py",
            """
            app = skerry.App("recursion")

            @app.function(timeout="1500ms", scale=skerry.Scale(max=1))
            def factorial(number: int) -> int:
                return number * factorial.remote(number - 1) if number > 1 else 1
            """,
        )
    )
    wait_for_worker(engine, "factorial")

    answer = engine.call("factorial", 3)

    assert answer.status == 504
    assert "1 more waited for a worker: if the function calls itself" in answer.json()["detail"]
    text = engine.control("GET", "/functions/factorial/logs?tail=100").json()["text"]
    assert "in factorial" in text
    assert answer.json()["detail"] in text


def test_the_log_says_why_a_worker_died_while_it_started(engine, tmp_path):
    path = write_app(
        tmp_path / "app.py",
        """
        app = skerry.App("early")

        @app.function
        class Early:
            def load(self):
                if "SKERRY_FUNCTION" in os.environ:
                    os._exit(4)

            def __call__(self) -> int:
                return 1
        """,
    )

    answer = engine.try_deploy(path)

    assert "the worker died while it started (exit status 4)" in answer.json()["detail"]


def test_a_function_that_cannot_have_its_memory_is_refused_when_it_is_deployed(engine, tmp_path):
    path = write_app(
        tmp_path / "app.py",
        """
        app = skerry.App("tiny")

        @app.function(memory="1MiB")
        def tiny() -> str:
            return ""
        """,
    )

    answer = engine.try_deploy(path)

    assert answer.code == "start_failed"
    assert "memory" in answer.json()["detail"]
