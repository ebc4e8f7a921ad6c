import http.client
import itertools
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from support.engine_process import Engine, wait_until, write_app

TASKS = 200
JOBS = 200
CLIENTS = 6
PACE_S = 0.15
VICTIM_S = 5.0  # how long a fault waits for a process that it can strike
DEADLINE_S = 60.0  # of one task
MOST = 3
QUEUES = itertools.count(1000)
APP = f"""
app = skerry.App("search")

@app.function(idempotent=True, scale=skerry.Scale(initial=0, max={MOST}, window="2s", grace="1s"))
def score(x: int) -> int:
    time.sleep(0.03)
    return x * x + 1
"""


def expected(x):
    return x * x + 1


def kill_all(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def engine(tmp_path):
    engine = Engine(tmp_path / "home").start(write_app(tmp_path / "app.py", APP))
    yield engine
    engine.close()


class Driver:
    """Maps tasks over a function from several threads, and repeats what may be repeated, as a search would.

    Args:
        engine: Where the function is.
        least: How many tasks there are at least; they go on until `finish`.
    """

    def __init__(self, engine, least):
        self.results, self.failures, self.repeats = {}, [], 0
        self._engine = engine
        self._inputs = itertools.count()
        self._least = least
        self._is_enough = False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def finish(self):
        """Begin no further task than the least; those that have begun go on to their results."""
        self._is_enough = True

    def is_done(self):
        return not any(thread.is_alive() for thread in self._threads)

    def ask(self, x):
        """Send the request for one input; return None when it is to be repeated."""
        answer = self._engine.call("score", x)
        if answer.status == 200:
            return answer.json()
        if not answer.json()["retryable"]:
            raise AssertionError(f"{x}: {answer}")
        return None

    def _run(self):
        while True:
            with self._lock:
                x = next(self._inputs)
            if x >= self._least and self._is_enough:
                return
            try:
                self.results[x] = self._insist(x)
            except AssertionError as error:
                self.failures.append(str(error))

    def _insist(self, x):
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            try:
                found = self.ask(x)
            except (OSError, http.client.HTTPException):
                found = None  # the connection broke: whether it was run is unknown, and does not matter
            if found is not None:
                return found
            self.repeats += 1
            time.sleep(0.02)  # what a client waits before it tries again
        raise AssertionError(f"{x}: no answer within {DEADLINE_S:g} s")


class JobDriver(Driver):
    """Submits each task as a job until one is accepted; its results are the ids."""

    def ask(self, x):
        time.sleep(PACE_S)  # an accepted job keeps no client waiting: without a pace there would be thousands
        answer = self._engine.submit("score", x)
        if answer.status == 202:
            return answer.json()["id"]
        if not answer.json()["retryable"]:
            raise AssertionError(f"{x}: {answer}")
        return None


class Chaos:
    """Kills processes of an engine at random; what is random follows from the seed."""

    def __init__(self, engine, seed):
        self.counts = dict.fromkeys(("worker", "zygote", "engine"), 0)
        self._engine = engine
        self._random = random.Random(seed)

    def pause(self):
        """Let the engine work for a random moment: this is the fault's time, nothing is waited for."""
        time.sleep(self._random.uniform(0.1, 0.5))

    def strike(self, what):
        if what == "engine":
            self._engine.kill()
            self._engine.start()
            self.counts[what] += 1
            return
        if what == "zygote" and not self._victims(what):
            self.strike("worker")  # an engine that lost its zygote starts another when a worker is wanted
        until = time.monotonic() + VICTIM_S
        while not (victims := self._victims(what)) and time.monotonic() < until:
            time.sleep(0.02)  # an engine that has just been started again may have none yet
        if victims and self._kill(self._random.choice(victims)):
            self.counts[what] += 1

    def _victims(self, what):
        zygotes = self._engine.zygotes()
        if what == "zygote":
            return zygotes
        return [pid for pid in self._engine.processes() if pid not in (*zygotes, self._engine.pid)]

    def run(self, strikes):
        self._random.shuffle(strikes)
        for what in strikes:
            self.pause()
            self.strike(what)

    def _kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


def parent_of(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def strays(engine):
    """Return the processes that earlier engines, zygotes and workers left behind."""
    return [pid for pid in engine.processes() if pid != engine.pid and parent_of(pid) != engine.pid]


@pytest.mark.slow
@pytest.mark.timeout(400)  # eighteen starts of engines and workers take minutes on a busy machine
@pytest.mark.parametrize("seed", [1, 2])
def test_every_task_and_every_accepted_job_has_its_result_whatever_is_killed(engine, seed):
    tasks = Driver(engine, TASKS)
    jobs = JobDriver(engine, JOBS)
    chaos = Chaos(engine, seed)

    # Tasks and jobs are there for as long as the faults are, so that each of these finds what it can strike.
    try:
        chaos.run(["worker"] * 10 + ["zygote"] * 4 + ["engine"] * 4)
    finally:
        tasks.finish()
        jobs.finish()
    wait_until(lambda: tasks.is_done() and jobs.is_done(), within_s=DEADLINE_S, what="the end of all tasks")

    assert tasks.failures == []
    assert jobs.failures == []
    assert len(tasks.results) >= TASKS
    assert len(jobs.results) >= JOBS
    assert tasks.results == {x: expected(x) for x in range(len(tasks.results))}
    answers = {x: engine.job_result(job) for x, job in jobs.results.items()}
    assert {x: a.json() for x, a in answers.items() if a.status == 200} == {
        x: expected(x) for x in range(len(answers))
    }, [(jobs.results[x], engine.job(jobs.results[x])) for x, answer in answers.items() if answer.status != 200]
    assert chaos.counts["engine"] == 4
    assert chaos.counts["worker"] + chaos.counts["zygote"] >= 10
    print(f"\nkilled {chaos.counts}; {tasks.repeats} requests and {jobs.repeats} submissions were repeated")

    wait_until(lambda: not strays(engine), within_s=10, what="the end of what was left behind")
    assert len(engine.zygotes()) <= 1
    assert len(engine.processes()) <= 1 + 1 + 1 + MOST  # the engine, its zygote, a spare and the workers
    assert engine.stop() == 0
    wait_until(lambda: not engine.processes(), within_s=10, what="the end of all processes")


def test_the_death_of_the_zygote_harms_no_request(engine):
    engine.call("score", 1)
    answers = []
    tasks = threading.Thread(target=lambda: answers.extend(engine.call("score", x) for x in range(40)))
    tasks.start()
    for _ in range(3):
        kill_all(wait_until(engine.zygotes))
        engine.deploy(engine.home.parent / "app.py", flags=[f"score.queue={next(QUEUES)}"])  # this wants a zygote
    tasks.join()

    assert [answer.status for answer in answers] == [200] * 40, [a for a in answers if a.status != 200]
    assert [answer.json() for answer in answers] == [expected(x) for x in range(40)]


def test_a_function_without_zygote_and_workers_serves_again(engine):
    for x in range(3):
        assert engine.call("score", x).json() == expected(x)
        wait_until(lambda: engine.function("score")["in_flight"] == 0)
        kill_all(engine.zygotes())
        kill_all(engine.live_workers("score"))

    assert engine.call("score", 9).json() == expected(9)


def test_an_engine_that_is_killed_again_and_again_loses_no_job(engine):
    accepted = {}
    numbers = itertools.count()
    for _ in range(4):
        for _ in range(15):
            x = next(numbers)
            answer = engine.submit("score", x)
            assert answer.status == 202
            accepted[x] = answer.json()["id"]
        engine.kill()
        engine.start()

    assert {x: engine.job_result(job).json() for x, job in accepted.items()} == {x: expected(x) for x in accepted}
    assert {engine.job(job)["status"] for job in accepted.values()} == {"succeeded"}


def test_a_dead_worker_is_replaced_without_a_request_and_what_it_started_ends_with_it(engine, tmp_path):
    engine.deploy(
        write_app(
            tmp_path / "kept.py",
            """
            import subprocess
            app = skerry.App("kept")

            @app.function(scale=skerry.Scale(min=1, max=1))
            def spawn() -> int:
                return subprocess.Popen(["sleep", "600"]).pid
            """,
        )
    )
    child = engine.call("spawn").json()
    (worker,) = engine.live_workers("spawn")
    assert child in engine.processes()

    os.kill(worker, signal.SIGKILL)

    wait_until(lambda: set(engine.live_workers("spawn")) - {worker}, what="a new worker")
    wait_until(lambda: child not in engine.processes(), what="the end of what the worker had started")
    assert len(engine.live_workers("spawn")) == 1
