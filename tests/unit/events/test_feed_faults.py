"""What becomes of events when something beside them raises what nobody has thought of: none is lost or stuck."""

from types import SimpleNamespace

import pytest

from skerry.engine.events.giving import EventCall
from skerry.events.feed import Outcome, Parcel
from skerry.events.traces import Delivering
from skerry.observe import Telemetry, Tracer
from skerry.payload import event_http
from skerry.runtime.frames import Codec, Frame, Kind
from skerry.spec import FunctionSpec, Retry, Trigger
from support.broker_world import entry, until

TWICE = Retry(attempts=1, delay="1ms", jitter=0)
TAKES_ALL = FunctionSpec(name="f", triggers=(Trigger(retry=TWICE),))
SINK = FunctionSpec(name="s")


def fail(*given, **named):
    raise ValueError("as the test says")


def dealt_with(broker):
    return {feed.name: (feed.done, feed.dead) for feed in broker.feeds.values()}


def test_an_answer_that_cannot_be_passed_on_costs_its_event_an_attempt_and_others_nothing(with_broker, monkeypatch):
    async def work(broker, functions):
        monkeypatch.setattr("skerry.events.feed.pass_on", fail)
        await broker.accept([entry("bad", partitionkey="k"), entry("behind", partitionkey="k"), entry("other")])
        await until(lambda: len(functions.given) == 2)
        functions.outcomes["f"] = Outcome(200)
        for _, parcel in list(functions.given):
            is_bad = b'"bad"' in parcel.body
            parcel.on_outcome(Outcome(200, reply=entry("reply") if is_bad else None))
        await until(lambda: broker.describe()["waiting"] == 0)
        assert dealt_with(broker) == {"f": (3, 0)}
        assert [b'"bad"' in parcel.body for _, parcel in functions.given].count(True) == 2

    with_broker(work, TAKES_ALL)


def test_an_event_whose_answers_can_never_be_passed_on_dies_with_the_reason(with_broker, monkeypatch):
    async def work(broker, functions):
        monkeypatch.setattr("skerry.events.feed.pass_on", fail)
        functions.outcomes["f"] = Outcome(200, reply=entry("reply"))
        await broker.accept([entry("bad")])
        await until(lambda: broker.describe()["waiting"] == 0)
        (letter,) = await broker.backlog.dead(most=9)
        assert (letter.code, letter.attempts) == (500, 2)
        assert "its reply cannot be taken: ValueError: as the test says" in letter.error

    with_broker(work, TAKES_ALL)


def test_events_that_cannot_be_given_are_tried_again(with_broker):
    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(200)
        give, calls = broker.feeds["f"]._give, []
        broker.feeds["f"]._give = lambda *what: (calls.append(what), fail() if len(calls) == 1 else give(*what))
        await broker.accept([entry("1"), entry("2")])
        await until(lambda: broker.describe()["waiting"] == 0)
        assert len(calls) == 3
        assert dealt_with(broker) == {"f": (2, 0)}

    with_broker(work, TAKES_ALL)


def test_a_trace_that_cannot_be_finished_costs_nothing(with_broker, monkeypatch):
    async def work(broker, functions):
        monkeypatch.setattr(Delivering, "finish", fail)
        functions.outcomes["f"] = Outcome(200)
        broker.feeds["f"].tracer = Tracer(Telemetry())
        await broker.accept([entry("1")])
        await until(lambda: broker.describe()["waiting"] == 0)
        assert dealt_with(broker) == {"f": (1, 0)}

    with_broker(work, TAKES_ALL)


def test_a_backlog_that_cannot_be_read_is_read_again(with_broker, monkeypatch):
    monkeypatch.setattr("skerry.events.feed.LOAD_AGAIN_S", 0.01)

    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(200)
        take, calls = broker.backlog.take, []

        async def take_later(*what):
            calls.append(what)
            return fail() if len(calls) == 1 else await take(*what)

        monkeypatch.setattr(broker.backlog, "take", take_later)
        await broker.accept([entry("1")])
        await until(lambda: broker.describe()["waiting"] == 0)

    with_broker(work, TAKES_ALL)


@pytest.mark.parametrize("broken", ["skerry.events.feed.dead_event", "skerry.events.broker.Broker.put"])
def test_a_dead_letter_that_cannot_be_sent_on_is_dead_all_the_same(with_broker, monkeypatch, broken):
    retry = Retry(attempts=0, delay="1ms", dead_letter_sink="/function/s")

    async def work(broker, functions):
        functions.outcomes["f"] = Outcome(400, "no")
        await broker.accept([entry("1")])
        monkeypatch.setattr(broken, fail)
        await until(lambda: broker.describe()["waiting"] == 0)
        assert [letter.code for letter in await broker.backlog.dead(most=9)] == [400]

    with_broker(work, FunctionSpec(name="f", triggers=(Trigger(retry=retry),)), SINK)


def test_an_answer_that_nobody_can_read_is_an_outcome_as_well():
    outcomes = []
    call = EventCall(SimpleNamespace(spec=TAKES_ALL), Parcel(b"{}", event_http.STRUCTURED, 0, outcomes.append))
    headers = {"ce-id": "1", "ce-source": "/f", "ce-type": "t", "ce-specversion": "1.0"}
    two = b"[" + b",".join([entry("1").document, entry("2").document]) + b"]"
    call.on_answer(Frame(Kind.RESULT, 1, Codec.OTHER, {"headers": headers, "content_type": event_http.BATCH}, two))

    (outcome,) = outcomes
    assert outcome.status == 500
    assert "its answer cannot be read: ValueError" in outcome.message
