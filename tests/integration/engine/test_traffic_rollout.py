"""The policy's rollouts with real workers, while callers keep calling."""

import asyncio

import pytest

from skerry.engine.traffic.control import TrafficControl
from skerry.engine.traffic.plan import TrafficPlan
from skerry.engine.traffic.traffic import Traffic
from skerry.errors import ModelNotFoundError, SpecError
from skerry.platforms.engine.client import EnginePlatform
from support.played_worker import until
from support.real_lanes import client_of, real_lanes, run_with_workers

VERSION = """
app = skerry.App("rollout")

@app.function
def f(x: int) -> dict:
    return {"label": {0}, "score": x / 3 + {1}, "version": "{2}"}
"""
GOOD = VERSION.replace("{0}", "1").replace("{1}", "1e-9").replace("{2}", "new")
OTHER = VERSION.replace("{0}", "2").replace("{1}", "0").replace("{2}", "new")
STABLE = VERSION.replace("{0}", "1").replace("{1}", "0").replace("{2}", "old")
FAILS = """
app = skerry.App("rollout")

@app.function
def f(x: int) -> dict:
    raise ValueError("this version is broken")
"""
QUICK = {
    "steps": [0.2, 0.5],
    "min_requests": 30,
    "step_duration": "0s",
    "max_error_ratio": 0.2,
    "max_latency_ratio": 1000.0,
    "max_duration": "80s",
}


async def resolved(function, text):
    return int(text)


class Callers:
    """Clients that call until they are told to stop."""

    def __init__(self, lanes, *, clients=4):
        self.answers = []
        self._lanes = lanes
        self._stopping = False
        self._tasks = [asyncio.ensure_future(self._call()) for _ in range(clients)]

    async def _call(self):
        async with client_of(self._lanes) as call:
            while not self._stopping:
                self.answers.append(await call())

    async def stop(self):
        self._stopping = True
        await asyncio.gather(*self._tasks)

    def statuses(self):
        return {status for status, _ in self.answers}


def play(folder, candidate, *, asked, then):
    async def main():
        async with real_lanes(folder) as lanes:
            lanes.candidate_source = candidate
            lanes.stable = await lanes.start(STABLE)
            lanes.route(lanes.stable)
            events = []
            traffic = Traffic("f", lanes, notify=lambda *event: events.append(event), period_s=0.05)
            callers = Callers(lanes)
            try:
                await traffic.begin(TrafficPlan.asked({"candidate": 2, **asked}, candidate=2))
                await until(lambda: traffic.to_dict() is None, within_s=60)
                ended = len(callers.answers) + 20  # the next few may have been asked before
                await until(lambda: len(callers.answers) > ended + 100, within_s=30)
                later = callers.answers[ended:]
            finally:
                traffic.stop()
                await callers.stop()
            then(events, callers, later)

    run_with_workers(main())


def test_a_good_candidate_is_promoted_without_a_lost_request(tmp_path):
    def then(events, callers, later):
        assert [kind for kind, _ in events] == ["traffic_split", "traffic_advanced", "traffic_promoted"]
        assert callers.statuses() == {200}
        assert all(b'"new"' in body for _, body in later)

    asked = {"mirror": True, "automatic": {**QUICK, "min_agreement_ratio": 0.8}}
    play(tmp_path, GOOD, asked=asked, then=then)


def test_a_candidate_that_fails_is_rolled_back_and_its_callers_are_few(tmp_path):
    def then(events, callers, later):
        assert [kind for kind, _ in events] == ["traffic_split", "traffic_withdrawn"]
        assert "answers were errors" in events[-1][1]["reason"]
        assert all(status == 200 and b'"old"' in body for status, body in later)

    play(tmp_path, FAILS, asked={"automatic": QUICK}, then=then)


def test_a_shadow_that_disagrees_is_withdrawn_before_a_caller_sees_it(tmp_path):
    def then(events, callers, later):
        assert [kind for kind, _ in events] == ["traffic_split", "traffic_withdrawn"]
        assert "answers differ" in events[-1][1]["reason"]
        assert callers.statuses() == {200}
        assert all(b'"old"' in body for _, body in callers.answers)

    asked = {"mirror": True, "automatic": {**QUICK, "steps": [0.0, 1.0], "min_agreement_ratio": 0.95}}
    play(tmp_path, OTHER, asked=asked, then=then)


def test_people_drive_a_trial_over_http(tmp_path):
    async def main():
        async with real_lanes(tmp_path) as lanes:
            lanes.candidate_source = GOOD
            lanes.stable = await lanes.start(STABLE)
            lanes.route(lanes.stable)
            traffic = Traffic("f", lanes, notify=lambda *event: None)
            TrafficControl(find=lambda name: traffic, resolve=resolved).add_routes(lanes.front)
            await asyncio.to_thread(drive, EnginePlatform(f"http://127.0.0.1:{lanes.port}"))
            traffic.stop()

    def drive(engine):
        assert engine.traffic("f") == {"function": "f", "serving": 1, "candidate": None}
        with pytest.raises(ModelNotFoundError):
            engine.promote("f")
        with pytest.raises(SpecError, match="weight_ratio"):
            engine.split_traffic("f", {"candidate": 2, "weight_ratio": 7})
        assert engine.split_traffic("f", {"candidate": 2, "weight_ratio": 0.5, "mirror": True})["weight_ratio"] == 0.5
        versions = [engine.invoke("f", b"1", content_type="application/json").body.count(b'"new"') for _ in range(20)]
        assert sum(versions) == 10
        found = engine.traffic("f")
        assert found["statistics"]["stable"]["requests"] == 10
        assert found["statistics"]["candidate"]["requests"] >= 10
        assert found["statistics"]["stable"]["p50_s"] > 0
        assert engine.split_traffic("f", {}) == {"function": "f", "serving": 1, "candidate": None}
        engine.split_traffic("f", {"candidate": "2", "weight_ratio": 0.5})
        assert engine.promote("f") == {"function": "f", "promoted": 2}
        assert b'"new"' in engine.invoke("f", b"1", content_type="application/json").body
        engine.close()

    run_with_workers(main())
