import asyncio
from types import SimpleNamespace

from skerry.engine.autoscaler import Autoscaler
from skerry.scaling import ReactivePolicy
from skerry.spec import Scale


class Pool:
    """A pool whose first worker takes for ever to start."""

    def __init__(self):
        self.spec = SimpleNamespace(scale=Scale(max=4))
        self.dispatcher = SimpleNamespace(take_load=lambda: float(self.waiting), in_system=0)
        self.workers = set()
        self.desired = 0
        self.waiting = 0
        self.on_demand = lambda: None

    def set_desired(self, desired):
        self.desired = desired

    def counts(self):
        return {"starting": self.desired, "ready": 0, "draining": 0}


def test_calls_that_keep_coming_do_not_put_off_the_decision(run_loop):
    async def run():
        pool = Pool()
        policy = ReactivePolicy(pool.spec.scale, concurrency=1, capacity=4, initial=0)
        autoscaler = Autoscaler(pool, policy, notify=lambda kind, detail: None)
        autoscaler.start(0)
        for _ in range(50):
            pool.waiting += 1
            pool.dispatcher.in_system += 1
            pool.on_demand()
            await asyncio.sleep(0.01)  # more often than the decision is due
        autoscaler.stop()
        return pool.desired

    assert run_loop(run()) > 1
