"""When a revision that is started beside another counts as ready, with a pool that hears what the test says."""

import asyncio
from types import SimpleNamespace

import pytest

from skerry.engine.served import Served
from skerry.errors import StartError, UnavailableError


class Pool:
    def __init__(self):
        self.desired = 0
        self.heard = []
        self.notify = lambda kind, detail: self.heard.append(kind)
        self.workers = []
        self.last_error = None
        self.dispatcher = SimpleNamespace(refusal=None, in_system=0, close=lambda: None)
        self.is_scaled = False

    def start(self, workers):
        self.desired, self.is_scaled = workers, True
        self.workers = [SimpleNamespace(killed=False, state="starting") for _ in range(workers)]

    def stop(self):
        self.is_scaled = False

    def counts(self):
        return {"ready": sum(one.state == "ready" for one in self.workers)}

    def ready(self, number):
        self.workers[number].state = "ready"
        self.notify("worker_ready", {})

    def fail(self, number):
        self.workers[number].killed = True
        self.last_error = StartError(f"worker {number} cannot load")
        self.notify("worker_lost", {})

    def served(self):
        revision = SimpleNamespace(name="f-00002")
        return Served(revision, self, SimpleNamespace(start=self.start, stop=self.stop), None, None)


@pytest.fixture
def begin(run_loop):
    """Start a revision with two workers, do what the test says, and return what became of it."""

    def run(*steps, keep=False):
        pool = Pool()

        async def started():
            served = pool.served()
            starting = asyncio.ensure_future(served.start(2, keep=keep))
            for step in steps:
                await asyncio.sleep(0)
                assert not starting.done()
                step(pool, served)
            async with asyncio.timeout(5):
                await starting

        run_loop(started())
        return pool

    return run


def test_it_is_ready_once_all_of_its_workers_are(begin):
    pool = begin(lambda pool, _: pool.ready(0), lambda pool, _: pool.ready(1))

    assert pool.is_scaled
    assert pool.heard == ["worker_ready", "worker_ready"]
    pool.notify("worker_ready", {})  # it is recorded as before


def test_workers_that_are_kept_are_not_scaled(begin):
    assert not begin(lambda pool, _: pool.ready(0), lambda pool, _: pool.ready(1), keep=True).is_scaled


def test_one_that_is_ready_is_enough_when_another_cannot_load(begin):
    begin(lambda pool, _: pool.fail(0), lambda pool, _: pool.ready(1), lambda pool, _: pool.fail(0))
    begin(lambda pool, _: pool.ready(0), lambda pool, _: pool.fail(1))


def test_the_last_failure_of_all_is_the_reason(begin):
    with pytest.raises(StartError, match="worker 1 cannot load"):
        begin(lambda pool, _: pool.fail(0), lambda pool, _: pool.fail(1))


def test_a_pool_that_gives_up_is_not_waited_for_though_another_worker_starts(begin):
    def refuse(pool, _):
        pool.dispatcher.refusal = UnavailableError("workers cannot start")
        pool.fail(0)

    with pytest.raises(StartError, match="worker 0 cannot load"):
        begin(refuse)


def test_what_is_given_up_is_not_waited_for(begin):
    with pytest.raises(UnavailableError, match="f-00002 is not wanted any more"):
        begin(lambda pool, _: pool.ready(0), lambda _, served: served.give_up())
