import asyncio
from types import SimpleNamespace

from skerry.engine.autoscaler import Autoscaler
from skerry.scaling import Claim, ReactivePolicy, Shares
from skerry.spec import Scale


class Pool:
    """A pool whose first worker takes for ever to start."""

    def __init__(self, **scale):
        self.spec = SimpleNamespace(scale=Scale(**{"max": 4, **scale}))
        self.dispatcher = SimpleNamespace(
            take_load=lambda: float(self.waiting), take_rate=lambda: self.rate, in_system=0
        )
        self.workers = set()
        self.desired = 0
        self.waiting = 0
        self.rate = 0.0
        self.resized = asyncio.Event()
        self.on_demand = lambda: None

    def set_desired(self, desired):
        self.desired = desired
        self.resized.set()

    async def until(self, desired):
        while self.desired != desired:
            self.resized.clear()
            await self.resized.wait()

    def counts(self):
        return {"starting": self.desired, "ready": 0, "draining": 0}


def test_calls_that_keep_coming_do_not_put_off_the_decision(run_loop):
    async def run():
        pool = Pool()
        policy = ReactivePolicy(pool.spec.scale, concurrency=1, capacity=4, initial=0)
        autoscaler = Autoscaler(pool, policy, shares=Shares(), notify=lambda kind, detail: None)
        autoscaler.start(0)
        for _ in range(50):
            pool.waiting += 1
            pool.dispatcher.in_system += 1
            pool.on_demand()
            await asyncio.sleep(0.01)  # more often than the decision is due
        autoscaler.stop()
        return pool.desired

    assert run_loop(run()) > 1


def start(pool, *, capacity=4, shares=None):
    policy = ReactivePolicy(pool.spec.scale, concurrency=1, capacity=capacity, initial=0)
    shares = Shares() if shares is None else shares
    autoscaler = Autoscaler(pool, policy, shares=shares, notify=lambda kind, detail: pool.events.append(detail))
    pool.events = []
    autoscaler.start(policy.desired)
    return autoscaler


def test_the_rate_of_arrivals_is_followed_where_it_is_the_metric(run_loop):
    async def run():
        pool = Pool(metric="rps", target=10.0, utilization=1.0, window="1s")
        autoscaler = start(pool)
        pool.rate, pool.dispatcher.in_system = 30.0, 1
        pool.on_demand()
        await pool.until(3)
        autoscaler.stop()
        return autoscaler

    assert run_loop(run()).decision is None


def test_a_function_keeps_to_its_share_from_the_moment_that_another_wants_something(run_loop):
    async def run():
        shares = Shares()
        pool, kept = Pool(window="1s"), Pool(window="1s", min=3)
        autoscalers = [start(pool, shares=shares), start(kept, shares=shares)]
        pool.waiting = pool.dispatcher.in_system = 50
        await pool.until(4)  # idle workers take nothing, be there as many as the minimum
        kept.waiting = kept.dispatcher.in_system = 50
        await pool.until(1)  # of four places, three are the other's minimum
        assert pool.events[-1]["reason"] == "share"
        assert kept.desired == 3
        autoscalers[1].stop()
        await pool.until(4)
        autoscalers[0].stop()

    run_loop(run())


def test_a_limit_applies_at_once_to_a_function_that_has_decided_already(run_loop):
    async def run():
        shares = Shares()
        pool = Pool(window="1s")
        autoscaler = start(pool, shares=shares)
        pool.waiting = pool.dispatcher.in_system = 50
        await pool.until(4)
        assert shares.claim("another", Claim(demand=9, room=4)) == [autoscaler]
        autoscaler.keep_to_share()
        assert pool.desired == 2
        autoscaler.stop()
        autoscaler.keep_to_share()
        assert pool.desired == 2
        assert shares.limit("another") == 4  # all that the machine has

    run_loop(run())


def test_a_function_that_is_put_out_stays_out_until_it_is_called_whatever_its_windows_say(run_loop):
    async def run():
        pool = Pool(window="1s")
        autoscaler = start(pool)
        pool.waiting = pool.dispatcher.in_system = 1
        pool.on_demand()
        assert pool.desired == 1
        pool.dispatcher.in_system = 0
        autoscaler.put_out()
        autoscaler.keep_to_share()
        for _ in range(3):
            autoscaler._decide()  # the window still knows of the call
        assert autoscaler.decision.desired > 0
        assert pool.desired == 0
        pool.dispatcher.in_system = 1
        pool.on_demand()
        assert pool.desired == 1
        autoscaler.stop()

    run_loop(run())


def test_a_first_worker_waits_for_memory_as_long_as_there_are_calls(run_loop):
    async def run():
        pool = Pool(window="1s")
        answers = iter([False, False, False, True])
        asked = []

        def admit():
            asked.append(pool.desired)
            return next(answers)

        policy = ReactivePolicy(pool.spec.scale, concurrency=1, capacity=4, initial=0)
        autoscaler = Autoscaler(pool, policy, shares=Shares(), notify=lambda *_: None, admit=admit)
        autoscaler.start(0)
        assert asked == []
        pool.waiting = pool.dispatcher.in_system = 1
        pool.on_demand()
        await pool.until(1)
        autoscaler.stop()
        return asked

    assert run_loop(run()) == [0, 0, 0, 0]
