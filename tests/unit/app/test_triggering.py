import pytest

import skerry
from skerry.errors import ConfigError, NameTakenError, SpecError
from skerry.runtime.inspection import describe
from skerry.spec import Filter, Retry, Timer, Trigger, resolve


def specs(app):
    return resolve({name: entry["options"] for name, entry in describe(app)["functions"].items()}, environment={})


def test_an_example_says_what_an_event_must_be():
    app = skerry.App("reacting")
    example = skerry.Event(type="door", source="/house", subject="front", extensions={"floor": 0, "open": True})

    @app.on(example)
    def note(event: skerry.Event) -> None: ...

    wanted = {"type": "door", "source": "/house", "subject": "front", "floor": "0", "open": "true"}
    assert specs(app)["note"].triggers == (Trigger(filter=Filter.exact(**wanted)),)


def test_the_source_that_an_event_has_by_itself_is_no_condition():
    app = skerry.App("reacting")
    app.on(skerry.Event(type="door"), filter=Filter.prefix(subject="front"), batch=5)(lambda_named("note"))
    app.on()(lambda_named("log"))
    both = Filter.exact(type="door") & Filter.prefix(subject="front")
    found = specs(app)
    assert found["note"].triggers == (Trigger(filter=both, batch=5),)
    assert found["log"].triggers == (Trigger(),)


def lambda_named(name):
    def handler(events: list[skerry.Event]) -> None: ...

    handler.__name__ = name
    return handler


def test_decorators_stand_on_each_other_and_keep_their_order_and_the_functions_options():
    app = skerry.App("reacting")

    @app.on(skerry.Event(type="a"))
    @app.on(skerry.Event(type="b"), retry=skerry.Retry(attempts=1))
    @app.every("30s")
    @app.cron("0 3 * * *", zone="Europe/Oslo")
    @app.function(name="renamed", timeout="5s")
    def note() -> None: ...

    found = specs(app)["renamed"]
    assert found.timeout_s == 5
    assert [trigger.filter for trigger in found.triggers] == [Filter.exact(type="a"), Filter.exact(type="b")]
    assert found.triggers[1].retry == Retry(attempts=1)
    assert found.timers == (Timer(every="30s"), Timer(cron="0 3 * * *", zone="Europe/Oslo"))


def test_what_is_wrong_is_said_where_it_is_written():
    app = skerry.App("reacting")
    with pytest.raises(SpecError, match="as an example"):
        app.on("door.opened")
    with pytest.raises(SpecError, match="batch = 0"):
        app.on(batch=0)
    with pytest.raises(SpecError, match="unit"):
        app.every("30")
    with pytest.raises(SpecError, match="five fields"):
        app.cron("daily")
    app.on()(lambda_named("twice"))
    with pytest.raises(NameTakenError):
        app.on()(lambda_named("twice"))


def test_events_are_published_where_there_is_a_broker_only():
    app = skerry.App("reacting")
    app._binding.platform = object()
    with pytest.raises(ConfigError, match="no broker"):
        app.publish(skerry.Event(type="door"))


def test_only_events_are_published():
    app = skerry.App("reacting")
    with pytest.raises(ConfigError, match=r"is no event: write skerry\.Event"):
        app.publish({"type": "door"})
