"""The broker on a real file, with functions that answer as the test says."""

import time
from types import SimpleNamespace

import pytest

from skerry.engine.events.routes import EventRoutes
from skerry.errors import PrivacyError, QueueFullError, UnavailableError
from skerry.events import feed
from skerry.events.backlog import SqliteBacklog
from skerry.events.broker import Broker, starts_of
from skerry.events.feed import Outcome
from skerry.events.metrics import BrokerMetrics
from skerry.observe import Registry
from skerry.runtime.message import Request
from skerry.spec import Filter, FunctionSpec, Retry, Timer, Trigger
from support.broker_world import Functions, entry, until

TAKES_ALL = FunctionSpec(name="f", triggers=(Trigger(retry=Retry(attempts=1, delay="1ms")),))


def test_names_of_triggers_and_timers():
    spec = FunctionSpec(name="f", triggers=(Trigger(), Trigger()), timers=(Timer(every="1s"), Timer(every="2s")))
    assert list(starts_of([spec])) == ["f", "f/2", "f/timer", "f/timer-2"]


def test_an_event_whose_deadline_has_passed_is_not_given_to_its_function(with_broker, monkeypatch):
    spec = FunctionSpec(name="f", triggers=(Trigger(retry=Retry(deadline="1h")),))

    async def work(broker, functions):
        await broker.accept([entry("1", partitionkey="k"), entry("2", partitionkey="k")])
        await until(lambda: functions.given)
        monkeypatch.setattr(feed, "time", SimpleNamespace(time=lambda: time.time() + 7200))
        functions.given[0][1].on_outcome(Outcome(500, "no"))
        await until(lambda: broker.describe()["triggers"][0]["dead"] == 2)
        dead = {letter.event: letter for letter in await broker.backlog.dead(most=9)}
        assert [dead[event].code for event in (1, 2)] == [500, 504]
        assert all("deadline" in letter.error for letter in dead.values())
        assert len(functions.given) == 1

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


def test_what_waits_for_a_trigger_waits_on_where_not_all_functions_are_known(with_broker):
    async def work(broker, functions):
        await broker.accept([entry("1"), entry("2")])
        await until(lambda: len(functions.given) == 2)
        await broker.follow([], are_all=False)
        assert broker.describe()["triggers"] == []
        functions.given.clear()
        functions.outcomes["f"] = Outcome(200)
        await broker.follow([TAKES_ALL])
        await until(lambda: broker.describe()["waiting"] == 0)
        assert len(functions.given) == 2

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


def test_metrics_say_what_waits_and_how_it_went(tmp_path, run_loop):
    def value(registry, name, labels=""):
        (line,) = [row for row in registry.render().decode().splitlines() if row.startswith(f"{name}{labels} ")]
        return float(line.rpartition(" ")[2])

    async def work():
        functions, registry = Functions(), Registry()
        functions.outcomes["f"] = Outcome(500, "no")
        broker = Broker(SqliteBacklog(tmp_path / "events.sqlite3"), functions, metrics=BrokerMetrics(registry))
        retry = Retry(attempts=1, delay="1ms")
        spec = FunctionSpec(name="f", triggers=(Trigger(retry=retry),))
        waits = FunctionSpec(name="g", triggers=(Trigger(),))
        await broker.follow([spec, waits])
        await broker.accept([entry("1"), entry("2")])
        await broker.accept([entry("2")])
        await until(lambda: broker.feeds["f"].dead == 2)
        f, g = (f'{{trigger_name="{name}",faas_name="{name}"}}' for name in "fg")
        assert value(registry, "skerry_events_accepted_total") == 3
        assert value(registry, "skerry_events_duplicates_total") == 1
        assert value(registry, "skerry_events_waiting") == 2
        assert value(registry, "event_count_total", '{trigger_name="f",faas_name="f",response_code="500"}') == 4
        assert value(registry, "skerry_event_retries_total", f) == 2
        assert value(registry, "skerry_dead_letters_total", f) == 2
        assert value(registry, "skerry_backlog_deliveries", f) == 0
        assert value(registry, "skerry_backlog_oldest_age_seconds", f) == 0
        assert value(registry, "skerry_backlog_deliveries", g) == 2
        assert value(registry, "skerry_backlog_in_flight", g) == 2
        assert value(registry, "skerry_backlog_oldest_age_seconds", g) > 0
        assert value(registry, "event_processing_latencies_seconds_count", g) == 2
        await broker.follow([waits])
        assert f not in registry.render().decode()
        broker.stop()
        with pytest.raises(UnavailableError):
            await broker.accept([entry("3")])
        assert value(registry, "skerry_events_refused_total") == 1
        await broker.close()

    run_loop(work())
