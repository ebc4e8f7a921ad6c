"""The broker on a real file, with functions that answer as the test says."""

import asyncio
import time

import pytest

from skerry.engine.events.routes import EventRoutes
from skerry.errors import PrivacyError, QueueFullError, UnavailableError
from skerry.events.backlog import SqliteBacklog
from skerry.events.broker import Broker, BrokerLimits, starts_of
from skerry.events.feed import Outcome
from skerry.events.reading import entry_of
from skerry.payload import Event
from skerry.runtime.message import Request
from skerry.spec import Filter, FunctionSpec, Retry, Timer, Trigger

SOON_S = 20.0


class Functions:
    """Takes parcels; answers at once where it has been told how, else when the test does."""

    def __init__(self):
        self.outcomes = {}
        self.given = []

    def __call__(self, function, parcel):
        self.given.append((function, parcel))
        if function in self.outcomes:
            asyncio.get_running_loop().call_soon(parcel.on_outcome, self.outcomes[function])


async def until(condition):
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


@pytest.fixture
def with_broker(tmp_path, run_loop):
    def run(work, *specs, **limits):
        async def whole():
            functions = Functions()
            broker = Broker(SqliteBacklog(tmp_path / "events.sqlite3"), functions, limits=BrokerLimits(**limits))
            try:
                await broker.follow(specs)
                await work(broker, functions)
            finally:
                broker.stop()
                await broker.close()

        run_loop(whole())

    return run


def entry(id, type="t", **attributes):
    return entry_of(Event(type=type, source="/test", id=id, extensions=attributes))


TAKES_ALL = FunctionSpec(name="f", triggers=(Trigger(retry=Retry(attempts=1, delay="1ms")),))


def test_names_of_triggers_and_timers():
    spec = FunctionSpec(name="f", triggers=(Trigger(), Trigger()), timers=(Timer(every="1s"), Timer(every="2s")))
    assert list(starts_of([spec])) == ["f", "f/2", "f/timer", "f/timer-2"]


def test_an_event_whose_deadline_has_passed_is_not_given_to_its_function(with_broker):
    spec = FunctionSpec(name="f", triggers=(Trigger(retry=Retry(deadline="10ms")),))

    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(500, "no")
        await broker.accept([entry("1", partitionkey="k"), entry("2", partitionkey="k")])
        await until(lambda: broker.describe()["triggers"][0]["dead"] == 2)
        dead = {letter.event: letter for letter in await broker.backlog.dead(most=9)}
        assert dead[1].code == 500
        assert "deadline" in dead[1].error

    with_broker(work, spec)


def test_a_function_that_is_not_there_costs_no_attempt(with_broker):
    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(503, "not served", 0.01)
        await broker.accept([entry("1")])
        await until(lambda: len(functions.given) > 5)
        functions.outcomes["f"] = Outcome(200)
        await until(lambda: broker.describe()["waiting"] == 0)
        assert await broker.backlog.dead(most=9) == []

    with_broker(work, TAKES_ALL)


def test_room_is_counted_and_given_back(with_broker):
    async def work(broker, functions):
        await broker.accept([entry(str(n)) for n in range(3)])
        with pytest.raises(QueueFullError) as refused:
            await broker.accept([entry("more")])
        assert refused.value.details["retry_after_s"] >= 1
        await until(lambda: len(functions.given) == 3)
        functions.outcomes["f"] = Outcome(200)
        for _, parcel in list(functions.given):
            parcel.on_outcome(Outcome(200))
        await broker.accept([entry("more")])
        await until(lambda: broker.describe()["waiting"] == 0)

    with_broker(work, TAKES_ALL, most_waiting=3)


def test_a_trigger_that_goes_takes_what_waits_for_it_and_its_room(with_broker):
    async def work(broker, functions):
        await broker.accept([entry("1"), entry("2")])
        await until(lambda: len(functions.given) == 2)
        await broker.follow([])
        assert broker.describe() == {"accepted": 2, "duplicates": 0, "waiting": 0, "triggers": []}
        for _, parcel in functions.given:
            parcel.on_outcome(Outcome(200))
        await broker.follow([TAKES_ALL])
        assert broker.describe()["waiting"] == 0

    with_broker(work, TAKES_ALL)


def test_a_changed_filter_holds_from_now_on(with_broker):
    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(200)
        wanted = Trigger(filter=Filter.exact(type="b"))
        await broker.follow([FunctionSpec(name="f", triggers=(wanted,))])
        await broker.accept([entry("1", type="a"), entry("2", type="b")])
        await until(lambda: broker.describe()["waiting"] == 0)
        assert [b'"id":"2"' in parcel.body for _, parcel in functions.given] == [True]

    with_broker(work, TAKES_ALL)


def test_a_timer_leaves_out_moments_that_its_function_has_no_time_for(with_broker):
    busy = FunctionSpec(name="busy", timers=(Timer(every="100ms"),))
    idle = FunctionSpec(name="idle", timers=(Timer(every="100ms"),))

    async def work(broker, functions):
        functions.outcomes["idle"] = Outcome(200)

        def starts(name):
            return [parcel for function, parcel in functions.given if function == name]

        await until(lambda: len(starts("busy")) == 1)
        before = len(starts("idle"))
        await until(lambda: len(starts("idle")) > before + 3)
        assert len(starts("busy")) == 1
        starts("busy")[0].on_outcome(Outcome(200))
        await until(lambda: len(starts("busy")) == 2)

    with_broker(work, busy, idle)


def test_events_of_other_machines_do_not_reach_functions_that_stay_at_their_site(with_broker):
    local = FunctionSpec(name="inside", triggers=(Trigger(),), local=True)

    async def work(broker, functions):
        await broker.accept([entry("1")], is_foreign=True)
        await until(lambda: functions.given)
        await broker.accept([entry("2")])
        await until(lambda: len(functions.given) == 3)
        assert [name for name, _ in functions.given].count("inside") == 1
        foreign = Request("GET", "/broker/events/1", "", {}, b"", trusted=False, public=True)
        routes = EventRoutes(broker)
        for look in (routes._list, routes._show, routes._dead, routes._replay, routes._revive):
            with pytest.raises(PrivacyError):
                await look(foreign)

    with_broker(work, TAKES_ALL, local)


def test_a_broker_that_stops_takes_nothing_more(with_broker):
    async def work(broker, functions):
        broker.stop()
        with pytest.raises(UnavailableError):
            await broker.accept([entry("1")])

    with_broker(work, TAKES_ALL)
