"""Dead letters that go somewhere: to a function, or as an event of a type, once and with what was said of them."""

import json

import pytest

from skerry.engine.events.giving import DONE
from skerry.errors import SpecError, UnavailableError
from skerry.events.backlog import SqliteBacklog
from skerry.events.broker import Broker, starts_of
from skerry.events.dead import dead_event
from skerry.events.delivery import Delivery
from skerry.events.feed import Outcome
from skerry.events.reading import entry_of
from skerry.events.reply import pass_on
from skerry.payload import Event
from skerry.spec import Filter, FunctionSpec, Retry, Timer, Trigger, resolve
from support.event_sources import until

ONCE = {"attempts": 0}


class Functions:
    """Fail or succeed as the test says, and remember what they were given."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes
        self.given = []

    def __call__(self, function, parcel):
        self.given.append((function, json.loads(parcel.body)))
        parcel.on_outcome(self.outcomes.get(function, DONE))


@pytest.fixture
def with_broker(tmp_path, run_loop):
    def run(work, functions, *specs):
        async def whole():
            broker = Broker(SqliteBacklog(tmp_path / "events.sqlite3"), functions)
            try:
                await broker.follow(specs)
                await work(broker)
            finally:
                broker.stop()
                await broker.close()

        run_loop(whole())

    return run


def failing(sink):
    return FunctionSpec(
        name="note",
        triggers=(Trigger(filter=Filter.exact(type="t"), retry=Retry(**ONCE, dead_letter_sink=sink)),),
    )


EVENT = entry_of(Event(type="t", source="/test", id="1", data={"a": 1}, extensions={"partitionkey": "k"}))
WRONG = {"note": Outcome(500, "no tools")}


def test_a_function_gets_the_event_as_it_was_with_what_was_said_of_it(with_broker):
    functions = Functions(**WRONG)

    async def work(broker):
        await broker.accept([EVENT])
        await until(lambda: len(functions.given) == 2)
        await until(lambda: broker.describe()["waiting"] == 0)
        (kept,) = await broker.backlog.dead(most=9)
        assert kept.trigger == "note"

    with_broker(work, functions, failing("/function/report"), FunctionSpec(name="report"))
    function, event = functions.given[1]
    assert function == "report"
    assert {name: event[name] for name in ("id", "source", "type", "data", "partitionkey")} == {
        "id": "1",
        "source": "/test",
        "type": "t",
        "data": {"a": 1},
        "partitionkey": "k",
    }
    assert event["knativeerrordest"] == "/function/note"
    assert event["knativeerrorcode"] == 500
    assert event["knativeerrordata"] == "no tools (1 attempts have failed)"


def test_a_dead_letter_becomes_an_event_of_the_type_that_is_asked_for(with_broker):
    functions = Functions(**WRONG)
    watch = FunctionSpec(name="watch", triggers=(Trigger(filter=Filter.exact(type="door.dead")),))

    async def work(broker):
        await broker.accept([EVENT])
        await until(lambda: len(functions.given) == 2)

    with_broker(work, functions, failing("door.dead"), watch)
    function, event = functions.given[1]
    assert (function, event["type"], event["skerrydeadtype"], event["id"]) == ("watch", "door.dead", "t", "1")


def test_it_is_dead_only_once_it_is_where_it_goes(with_broker, monkeypatch):
    monkeypatch.setattr("skerry.events.feed.PASS_ON_AGAIN_S", 0.01)
    functions = Functions(**WRONG)

    async def work(broker):
        put, refused = broker.backlog.put, []

        async def full(entries):
            if entries[0][0].source.startswith("/skerry/dead/") and len(refused) < 2:
                refused.append(await broker.backlog.dead(most=9))
                raise UnavailableError("no disk")
            return await put(entries)

        monkeypatch.setattr(broker.backlog, "put", full)
        await broker.accept([EVENT])
        await until(lambda: len(functions.given) == 2)
        await until(lambda: broker.describe()["waiting"] == 0)
        assert refused == [[], []]

    with_broker(work, functions, failing("/function/report"), FunctionSpec(name="report"))


def test_a_dead_letter_that_is_given_again_and_dies_again_goes_there_again(with_broker):
    functions = Functions(**WRONG)

    async def work(broker):
        await broker.accept([EVENT])
        await until(lambda: broker.describe()["waiting"] == 0)
        (kept,) = await broker.backlog.dead(most=9)
        await broker.revive([kept.position])
        await until(lambda: len(functions.given) == 4)

    with_broker(work, functions, failing("/function/report"), FunctionSpec(name="report"))
    assert [function for function, _ in functions.given] == ["note", "report"] * 2


def test_a_function_that_fails_on_dead_letters_ends_the_circle(with_broker):
    functions = Functions(note=Outcome(422, "never"))

    async def work(broker):
        await broker.accept([EVENT])
        await until(lambda: len(functions.given) == 2)
        await until(lambda: broker.describe()["waiting"] == 0)
        assert {letter.trigger for letter in await broker.backlog.dead(most=9)} == {"note", "note/dead"}

    with_broker(work, functions, failing("/function/note"))


def test_events_that_die_of_their_own_death_end_after_some_turns():
    document = EVENT._replace(document=json.dumps({**json.loads(EVENT.document), "skerryhops": 255}).encode()).document
    retry = Retry(dead_letter_sink="t")
    assert dead_event(Delivery(1, 1, None, document, 0.0), retry, trigger="f", code=500, error="x") is None


def test_an_event_that_cannot_be_written_again_is_a_dead_letter_that_is_sent_nowhere(with_broker):
    functions = Functions(**WRONG)
    nested = b"[" * 300 + b"]" * 300
    deep = EVENT._replace(document=EVENT.document.replace(b'{"a":1}', nested))  # as earlier versions took it
    assert nested in deep.document

    async def work(broker):
        await broker.accept([deep])
        await until(lambda: broker.describe()["waiting"] == 0)
        (kept,) = await broker.backlog.dead(most=9)
        assert (kept.trigger, kept.code) == ("note", 500)

    with_broker(work, functions, failing("/function/report"), FunctionSpec(name="report"))
    assert [function for function, _ in functions.given] == ["note"]
    assert pass_on(deep, EVENT.document) is None


def test_sinks_have_a_place_among_what_starts_functions():
    sink = Retry(dead_letter_sink="/function/report")
    specs = [FunctionSpec(name="f", timers=(Timer(every="1s", retry=sink),)), FunctionSpec(name="report")]
    assert list(starts_of(specs)) == ["f/timer", "report/dead"]


def test_a_sink_that_is_not_there_is_refused():
    options = {"note": {"triggers": [{"retry": {"dead_letter_sink": "/function/gone"}}]}}
    with pytest.raises(SpecError, match="no such function in this app; it has: note"):
        resolve(options, environment={})
    with pytest.raises(SpecError, match="write /function/NAME"):
        Retry(dead_letter_sink="/function/")
