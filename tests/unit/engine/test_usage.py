import asyncio
import os
import sqlite3
from contextlib import closing
from types import SimpleNamespace

from skerry.engine.records import Records, UsageRecord
from skerry.engine.records.usage import KEPT_S
from skerry.engine.usage import UsageMeter

HOUR = 3600


def used(**values):
    record = dict(function="f", revision="f-00001", hour_at=0, requests=0, errors=0, billed_us=0, memory_gb_s=0.0)
    return UsageRecord(**{**record, "cold_starts": 0, "cold_start_us": 0, "idle_us": 0, **values})


class Pool:
    def __init__(self, **spec):
        self.spec = SimpleNamespace(**{"name": "f", "memory_bytes": 10**9, **spec})
        self.idle = 0.0
        self.dispatcher = SimpleNamespace(idle_s=lambda: self.idle)
        self.workers = set()


class Metrics:
    def __init__(self):
        self.requests = self.errors = self.handler_us = self.cold_starts = self.cold_start_us = 0


def run_meter(records, body, *, clock):
    async def run():
        meter, pool, metrics = UsageMeter(records.usage, clock=lambda: clock[0]), Pool(), Metrics()
        meter.watch(pool, "f-00001", metrics)
        body(meter, pool, metrics)
        meter.stop()

    asyncio.run(run())


def test_usage_of_one_hour_is_added_up_and_kept_apart_by_revision_and_hour(tmp_path):
    with Records(tmp_path / "records.sqlite3") as records:
        records.usage.add([used(billed_us=3, requests=1, memory_gb_s=0.5)])
        records.usage.add([used(billed_us=4, idle_us=7), used(revision="f-00002", hour_at=HOUR, errors=1)])
        records.usage.add([used(function="g", billed_us=9)])

        assert records.usage.list() == (
            used(billed_us=7, requests=1, memory_gb_s=0.5, idle_us=7),
            used(function="g", billed_us=9),
            used(revision="f-00002", hour_at=HOUR, errors=1),
        )
        assert [record.function for record in records.usage.list("g")] == ["g"]
        assert [record.hour_at for record in records.usage.list(since_s=HOUR)] == [HOUR]


def test_what_is_older_than_400_days_is_dropped(tmp_path):
    with Records(tmp_path / "records.sqlite3") as records:
        records.usage.add([used(billed_us=1)])
        records.usage.add([used(hour_at=KEPT_S + HOUR, billed_us=2)])

        assert [record.billed_us for record in records.usage.list()] == [2]


def test_what_came_since_the_last_look_goes_to_the_hour_of_the_look(tmp_path):
    clock = [100.0]

    def body(meter, pool, metrics):
        metrics.requests, metrics.handler_us, metrics.cold_starts, metrics.cold_start_us = 2, 3_000_000, 1, 25_000
        meter.flush()
        meter.flush()  # nothing new
        clock[0] += HOUR
        metrics.handler_us += 5
        pool.idle = 1.5
        meter.flush()

    with Records(tmp_path / "records.sqlite3") as records:
        run_meter(records, body, clock=clock)
        assert records.usage.list() == (
            used(requests=2, billed_us=3_000_000, memory_gb_s=3.0, cold_starts=1, cold_start_us=25_000),
            used(hour_at=HOUR, billed_us=5, memory_gb_s=5e-6, idle_us=1_500_000),
        )


def test_what_a_pool_used_in_the_end_is_not_lost_with_it(tmp_path):
    def body(meter, pool, metrics):
        metrics.handler_us = 8
        meter.forget(pool)
        metrics.handler_us = 100  # nobody looks any more
        meter.flush()

    with Records(tmp_path / "records.sqlite3") as records:
        run_meter(records, body, clock=[0.0])
        assert [record.billed_us for record in records.usage.list()] == [8]


def test_what_cannot_be_recorded_is_kept_and_recorded_once_later(tmp_path):
    path = tmp_path / "records.sqlite3"

    def body(meter, pool, metrics):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(2):
                metrics.handler_us += 10
                meter.flush()
            other.execute("ROLLBACK")
        metrics.handler_us += 1
        meter.flush()

    with Records(path) as records:
        run_meter(records, body, clock=[0.0])
        assert [record.billed_us for record in records.usage.list()] == [21]


def test_without_a_declared_memory_the_time_waits_for_a_worker_that_can_be_measured(tmp_path):
    def body(meter, pool, metrics):
        pool.spec.memory_bytes = None
        metrics.handler_us = 1_000_000
        meter.flush()
        pool.workers = [SimpleNamespace(pid=os.getpid())]
        metrics.handler_us = 2_000_000
        meter.flush()

    with Records(tmp_path / "records.sqlite3") as records:
        run_meter(records, body, clock=[0.0])
        [record] = records.usage.list()
        assert record.billed_us == 2_000_000
        assert 2 * 2**20 < record.memory_gb_s * 1e9 < 2 * 2**34
