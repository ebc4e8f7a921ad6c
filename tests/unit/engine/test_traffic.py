"""The traffic of a function while a candidate is tried; workers are played, the clock is the test's."""

import asyncio

import pytest

from skerry.engine.traffic.control import TrafficControl
from skerry.engine.traffic.plan import TrafficPlan
from skerry.engine.traffic.traffic import Traffic
from skerry.errors import (
    FunctionNotFoundError,
    ModelInUseError,
    ModelNotFoundError,
    SpecError,
    StartError,
    StorageError,
)
from skerry.runtime.frames import Kind
from skerry.runtime.message import Request
from skerry.scaling.rollout import Rollout
from support.lane_pool import Client, LanePool
from support.played_worker import until

QUICK = {"steps": [0.5, 1], "min_requests": 20, "step_duration": "0s", "max_error_ratio": 0.2, "max_duration": "1m"}


class World:
    """An engine's side of one function, its traffic, and its callers."""

    def __init__(self):
        self.now = 1000.0
        self.events = []
        self.saved = []
        self.retired = []
        self.fails = {}  # what is to fail, by its name
        self.stable = LanePool(workers=1)
        self.serving = 3
        self.candidate = None
        self.entry = self.stable
        self.traffic = self.new_traffic()
        control = TrafficControl(find=self.find, resolve=self.resolve)
        self.routes = {
            ("GET", "traffic"): control.describe,
            ("PUT", "traffic"): control.split,
            ("PUT", "traffic/promote"): control.promote,
        }

    def new_traffic(self):
        return Traffic(
            "digits",
            self,
            notify=lambda kind, detail: self.events.append((kind, detail)),
            save=self.save,
            clock=lambda: self.now,
            period_s=0.001,
        )

    # What the traffic needs of the engine

    def route(self, entry):
        self.entry = entry

    async def add(self, version):
        await asyncio.sleep(0)
        self.fail("add")
        self.candidate = LanePool(workers=1)
        return self.candidate

    async def promote(self, reason):
        await asyncio.sleep(0)
        self.fail("promote")
        self.stable = self.candidate

    def retire(self, pool):
        pool.dispatcher.close()
        self.retired.append(pool)

    def save(self, plan):
        self.fail("save")
        self.saved.append(plan)

    def fail(self, what):
        if what in self.fails:
            raise self.fails[what]

    def find(self, name):
        if name != "digits":
            raise FunctionNotFoundError(f"no function {name!r}")
        return self.traffic

    async def resolve(self, function, candidate):
        versions = {"4": 4, "5": 5, "candidate": 4}
        if candidate not in versions:
            raise ModelNotFoundError(f"no version {candidate!r}")
        return versions[candidate]

    # What people do

    async def ask(self, method, what="traffic", body=b"", function="digits"):
        handler = self.routes[method, what]
        answer = handler(Request(method, f"/functions/{function}/{what}", "", {}, body, True))
        answer = answer if method == "GET" else await answer
        return answer

    def call(self, count, *, failing=False, body=b"1", shadow_body=b"1"):
        clients = [Client(b"[%d]" % number) for number in range(count)]
        for client in clients:
            self.entry.take(client.exchange)
        self.stable.serve_all(body)
        if self.candidate not in (None, self.stable):
            if failing:
                self.candidate.serve_all(b"{}", kind=Kind.ERROR, status=500)
            else:
                self.candidate.serve_all(shadow_body)
        return [client.status for client in clients]

    @property
    def kinds(self):
        return [kind for kind, _ in self.events]


@pytest.fixture
def play():
    """Run a test's coroutine with a world; the traffic's own loop is left out unless it is asked for."""

    def play(test, *, looping=False):
        async def main():
            world = World()
            if not looping:
                world.traffic._run = lambda: asyncio.sleep(0)
            async with asyncio.timeout(20):
                await test(world)
            world.traffic.stop()

        asyncio.run(main())

    return play


def plan(**asked):
    return TrafficPlan.asked({"candidate": 4, **asked}, candidate=4)


def test_a_good_candidate_goes_through_its_steps_and_is_promoted(play):
    async def test(world):
        await world.traffic.begin(plan(automatic=QUICK))
        old = world.stable
        assert set(world.call(60)) == {200}
        await world.traffic.tick()
        assert world.traffic.to_dict()["weight_ratio"] == 1.0
        await world.traffic.tick()
        assert world.traffic.describe()["decision"]["action"] == "wait"
        assert set(world.call(30)) == {200}
        await world.traffic.tick()
        assert world.kinds == ["traffic_split", "traffic_advanced", "traffic_promoted"]
        assert world.entry is world.stable is world.candidate
        assert (world.retired, world.saved[-1], world.traffic.to_dict()) == ([old], None, None)
        assert set(world.call(5)) == {200}

    play(test)


def test_a_candidate_that_fails_is_rolled_back_by_the_loop(play):
    async def test(world):
        await world.traffic.begin(plan(automatic=QUICK))
        assert 500 in world.call(40, failing=True)
        await until(lambda: world.traffic.to_dict() is None)
        assert world.kinds == ["traffic_split", "traffic_withdrawn"]
        assert "were errors" in world.events[-1][1]["reason"]
        assert world.entry is world.stable
        assert world.retired == [world.candidate]
        assert set(world.call(20)) == {200}

    play(test, looping=True)


def test_what_is_not_shown_to_be_good_in_time_is_rolled_back(play):
    async def test(world):
        await world.traffic.begin(plan(automatic=QUICK))
        world.call(10)
        await world.traffic.tick()
        assert world.traffic.describe()["decision"] == {"action": "wait", "reason": "5 of 20 answers are there"}
        world.now += 61
        await world.traffic.tick()
        assert world.kinds[-1] == "traffic_withdrawn"
        assert "not shown to be good within 1m" in world.events[-1][1]["reason"]

    play(test)


def test_disagreement_rolls_back_a_mirrored_candidate_and_is_reported(play):
    async def test(world):
        await world.traffic.begin(plan(mirror=True, automatic={**QUICK, "steps": [0], "min_agreement_ratio": 0.9}))
        for _ in range(3):
            assert set(world.call(10, body=b'{"label": 1}', shadow_body=b'{"label": 2}')) == {200}
            await asyncio.sleep(0)
        found = world.traffic.describe()
        assert (found["comparison"]["sent"], found["comparison"]["differs"]) == (30, 30)
        assert found["comparison"]["differences"][0]["shadow"] == '{"label": 2}'
        assert found["statistics"]["candidate"]["requests"] == 30
        await world.traffic.tick()
        assert "answers differ" in world.events[-1][1]["reason"]

    play(test)


def test_people_split_mirror_look_promote_and_end(play):
    async def test(world):
        assert b'"candidate":null' in (await world.ask("GET")).body
        answer = await world.ask("PUT", body=b'{"candidate": "candidate", "weight_ratio": 0.25, "mirror": true}')
        assert b'"weight_ratio":0.25' in answer.body
        for _ in range(10):
            world.call(10)
        await asyncio.sleep(0)
        found = (await world.ask("GET")).body
        assert b'"agrees":75' in found
        assert b'"taken":25' in found
        await world.ask("PUT", body=b'{"candidate": 4, "weight_ratio": 0.5}')
        assert world.candidate.dispatcher.observer.durations()[200].count == 100
        assert world.entry.mirror is None
        assert world.traffic.describe()["statistics"]["candidate"]["requests"] == 0
        await world.ask("PUT", body=b"{}")
        await world.ask("PUT", body=b"{}")
        assert world.entry is world.stable
        await world.ask("PUT", body=b'{"candidate": 5, "weight_ratio": 1}')
        assert b'"promoted":5' in (await world.ask("PUT", "traffic/promote")).body
        assert world.entry is world.candidate
        assert world.kinds == ["traffic_split"] * 2 + ["traffic_withdrawn", "traffic_split", "traffic_promoted"]

    play(test)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b'{"candidate": 4}', SpecError, "does nothing"),
        (b'{"candidate": 4, "weight_ratio": 0}', SpecError, "does nothing"),
        (b'{"candidate": 4, "weight_ratio": 1.5}', SpecError, "weight_ratio"),
        (b'{"candidate": 4, "weight_ratio": true}', SpecError, "weight_ratio"),
        (b'{"candidate": 4, "weight_ratio": 0.1, "mirror": 1}', SpecError, "mirror"),
        (b'{"candidate": 4, "mirror": true, "sample_ratio": 0}', SpecError, "sample_ratio"),
        (b'{"candidate": 4, "weight_ratio": 0.1, "sticky": 5}', SpecError, "sticky"),
        (b'{"candidate": 4, "weight": 0.1}', SpecError, "unknown member 'weight'"),
        (b'{"candidate": 4, "automatic": {"steps": [2]}}', SpecError, "steps"),
        (b'{"candidate": 4, "automatic": [1]}', SpecError, "automatic"),
        (b'{"candidate": 4, "automatic": {"steps": [0, 1]}}', SpecError, "does nothing"),
        (b'{"candidate": 4, "automatic": {"min_agreement_ratio": 0.9}}', SpecError, "mirrored requests"),
        (
            b'{"candidate": 4, "mirror": true, "weight_ratio": 1, "automatic": {"min_agreement_ratio": 0.9}}',
            SpecError,
            "begin with a step below 1",
        ),
        (b'{"candidate": true, "weight_ratio": 0.1}', SpecError, "candidate"),
        (b'{"weight_ratio": 0.1}', SpecError, "candidate"),
        (b'{"candidate": 9, "weight_ratio": 0.1}', ModelNotFoundError, "no version"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(play, body, error, says):
    async def test(world):
        with pytest.raises(error, match=says):
            await world.ask("PUT", body=body)
        assert (world.candidate, world.events) == (None, [])

    play(test)


def test_one_candidate_at_a_time(play):
    async def test(world):
        await world.ask("PUT", body=b'{"candidate": 4, "weight_ratio": 0.5}')
        with pytest.raises(ModelInUseError, match="version 4 is being tried"):
            await world.ask("PUT", body=b'{"candidate": 5, "weight_ratio": 0.5}')
        with pytest.raises(FunctionNotFoundError):
            await world.ask("GET", function="other")
        await world.ask("PUT", body=b"{}")
        with pytest.raises(ModelNotFoundError):
            await world.ask("PUT", "traffic/promote")

    play(test)


def test_where_the_engine_cannot_do_its_part_everything_is_as_before(play):
    async def test(world):
        world.fails = {"add": StartError("it cannot start")}
        with pytest.raises(StartError):
            await world.traffic.begin(plan(weight_ratio=0.5))
        assert (world.entry, world.traffic.to_dict()) == (world.stable, None)
        world.fails = {"save": StorageError("no room")}
        with pytest.raises(StorageError):
            await world.traffic.begin(plan(weight_ratio=0.5))
        assert (world.entry, world.retired) == (world.stable, [world.candidate])
        world.fails = {}
        await world.traffic.begin(plan(weight_ratio=0.5))
        split = world.entry
        world.fails = {"promote": StorageError("no room")}
        with pytest.raises(StorageError):
            await world.traffic.promote()
        assert world.entry is split
        assert set(world.call(10)) == {200}
        world.fails = {"save": StorageError("no room")}
        await world.traffic.withdraw()
        assert world.entry is world.stable
        assert world.retired[-1] is world.candidate

    play(test)


def test_a_promotion_is_finished_when_who_asked_for_it_has_left(play):
    async def test(world):
        await world.traffic.begin(plan(weight_ratio=0.5))
        asked = asyncio.ensure_future(world.traffic.promote())
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await until(lambda: world.traffic.to_dict() is None)
        assert world.entry is world.stable is world.candidate

    play(test)


def test_a_plan_goes_on_after_a_restart_at_its_step(play):
    async def test(world):
        await world.traffic.begin(plan(mirror=True, sticky="x-user", automatic={**QUICK, "min_agreement_ratio": None}))
        world.call(60)
        await world.traffic.tick()
        saved = world.saved[-1]
        world.traffic.stop()
        world.now += 3600
        world.traffic = world.new_traffic()
        await world.traffic.resume(saved)
        found = world.traffic.to_dict()
        assert (found["step"], found["weight_ratio"], found["sticky"]) == (1, 1.0, "x-user")
        await world.traffic.tick()
        assert world.traffic.describe()["decision"]["action"] == "wait"
        world.traffic.stop()

    play(test, looping=True)


def test_a_weight_is_where_an_automatic_rollout_begins():
    assert plan(weight_ratio=0.1, automatic=True).automatic.steps == (0.1, 0.25, 0.5, 1)
    assert plan(weight_ratio=1, automatic={}).automatic.steps == (1.0,)
    assert plan(automatic={}).weight_ratio == Rollout().steps[0]
    assert plan(weight_ratio=0.1, automatic=False).automatic is None


@pytest.mark.parametrize("asked", [{"weight_ratio": 0.5}, {"mirror": True, "sample_ratio": 0.1, "automatic": {}}])
def test_a_plan_survives_as_plain_values(asked):
    made = plan(**asked).begun(5.0)

    assert TrafficPlan.from_dict(made.to_dict()) == made
