"""The gate of the memory, with pools that hold what the test says."""

import asyncio
from types import SimpleNamespace

import pytest

from skerry.engine.memory import residency
from skerry.engine.memory.residency import MemoryGate
from skerry.errors import UnavailableError


class Pool:
    def __init__(self, name, *, holds=0, memory=None, busy=False, idle_since_s=0.0, folder=None):
        self.spec = SimpleNamespace(name=name, memory_bytes=memory, scale=SimpleNamespace(min=0))
        environment = {"K_REVISION": f"{name}-00001"}
        self.target = SimpleNamespace(
            environment=environment | ({"SKERRY_MODEL_FOLDER": str(folder)} if folder else {})
        )
        self.holds = holds
        self.workers = {object()} if holds else set()
        self.desired = len(self.workers)
        self.refusals = []
        self.dispatcher = SimpleNamespace(
            load=SimpleNamespace(answered=1),
            in_system=int(busy),
            is_busy=busy,
            slots=[SimpleNamespace(idle_since_s=idle_since_s)],
            refusal=None,
            refuse=self.refuse,
            accept=lambda: None,
        )

    def refuse(self, error):
        self.refusals.append(error)

    def counts(self):
        return {"starting": 0, "ready": self.desired, "draining": len(self.workers) - self.desired}

    def memory_bytes(self):
        return self.holds

    def put_out(self):
        self.desired = 0

    def leave(self):
        self.workers.clear()


class House:
    def __init__(self, *pools, budget=100):
        self.events = []
        self.pools = {pool.spec.name: pool for pool in pools}
        self.gate = MemoryGate(
            budget,
            served={name: SimpleNamespace(pool=pool, autoscaler=pool) for name, pool in self.pools.items()},
            retiring=(),
            notify=lambda function, kind, detail: self.events.append((function, kind)),
        )

    def admit(self, name):
        return self.gate.admit(self.pools[name])


def test_room_that_is_made_for_one_is_not_given_to_another_that_asks_in_between(run_loop):
    async def run():
        idle = Pool("idle", holds=80)
        house = House(idle, Pool("first", memory=60), Pool("second", memory=60))
        assert not house.admit("first")
        assert idle.desired == 0
        idle.leave()
        assert not house.admit("second")
        assert house.admit("first")
        assert house.events == [("idle", "evicted")]
        house.gate.stop()

    run_loop(run())


def test_a_small_one_passes_a_large_one_that_waits_for_busy_ones(run_loop):
    async def run():
        house = House(Pool("busy", holds=50, busy=True), Pool("large", memory=80), Pool("small", memory=30))
        assert not house.admit("large")
        assert house.admit("small")
        house.gate.stop()

    run_loop(run())


def test_who_waits_too_long_for_busy_ones_is_told_the_figures(run_loop, monkeypatch):
    monkeypatch.setattr(residency, "PATIENCE_S", -1.0)

    async def run():
        house = House(Pool("busy", holds=90_000_000, busy=True), Pool("wants", memory=50_000_000), budget=100_000_000)
        assert not house.admit("wants")
        await asyncio.sleep(0)
        house.gate.stop()
        return house

    house = run_loop(run())
    [error] = house.pools["wants"].refusals
    assert isinstance(error, UnavailableError)
    assert "needs 50 MB of memory; the budget of all functions is 100 MB, and in use by others: busy 90 MB" in str(
        error
    )
    assert house.events == [("wants", "refused_memory")]


def test_what_is_expected_is_what_was_measured_else_the_models_size_else_the_option(run_loop, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"x" * 70)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "data").write_bytes(b"x" * 5)

    async def run():
        full = Pool("full", holds=60, memory=99)
        house = House(full, Pool("model", folder=tmp_path, memory=40), Pool("option", memory=40), Pool("unknown"))
        expected = {name: house.gate.expected_bytes(pool) for name, pool in house.pools.items()}
        assert expected == {"full": 99, "model": 75, "option": 40, "unknown": 0}
        house.admit("option")  # measures what is there
        assert house.gate.expected_bytes(full) == 60
        house.gate.stop()

    run_loop(run())


def test_a_start_does_not_wait_for_measurements_while_there_is_plenty(run_loop):
    async def run():
        there = Pool("there", holds=10)
        house = House(there, Pool("wants", memory=10))
        assert house.admit("wants")
        there.memory_bytes = lambda: pytest.fail("it was measured again")
        assert house.admit("wants")
        house.gate.stop()

    run_loop(run())


def test_there_is_room_for_as_many_workers_as_the_others_leave(run_loop):
    async def run():
        unknown, next_one = Pool("unknown"), Pool("next", memory=20)
        house = House(Pool("busy", holds=45, busy=True), unknown, next_one)
        assert [house.gate.room(next_one, most=most) for most in (1, 2, 9)] == [1, 2, 2]
        assert house.gate.room(Pool("large", memory=60), most=2) == 0
        assert house.gate.room(unknown, most=7) == 7
        house.gate.stop()

    run_loop(run())
