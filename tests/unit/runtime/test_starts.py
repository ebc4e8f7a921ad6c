"""What is said to start a handler, and what it takes."""

from dataclasses import dataclass
from typing import Any

import pytest

import skerry
from skerry.errors import SpecError
from skerry.payload import Event
from skerry.payload.signature import Signature
from skerry.runtime.inspection import describe


@dataclass
class Flow:
    bytes: int


def one_event(event: skerry.Event) -> None: ...
def events(events: list[skerry.Event]) -> None: ...
def flow(flow: Flow) -> None: ...
def flows(flows: list[Flow]) -> None: ...
def number(x: int) -> None: ...
def two(x: int, y: int) -> None: ...
def anything(x) -> None: ...
def nothing() -> None: ...
def site(site: str = "all") -> None: ...
def some(site: str = "all", *, full: bool = False) -> None: ...
def data(schedule: dict[str, Any]) -> None: ...


def describe_with(start: Any, handler: Any) -> None:
    app = skerry.App("starts")
    start(app)(handler)
    describe(app)


@pytest.mark.parametrize("handler", [one_event, flow, number, two, site])
def test_a_handler_of_one_event_is_not_given_several(handler):
    with pytest.raises(SpecError, match=r"batch=10.*list\[skerry.Event\]"):
        describe_with(lambda app: app.on(skerry.Event(type="flow"), batch=10), handler)


@pytest.mark.parametrize("handler", [events, flows, anything, nothing])
def test_a_handler_of_a_list_is_given_several(handler):
    describe_with(lambda app: app.on(skerry.Event(type="flow"), batch=10), handler)


@pytest.mark.parametrize("handler", [flows, number, two])
def test_a_handler_that_wants_more_than_a_timer_says_is_refused(handler):
    with pytest.raises(SpecError, match="default"):
        describe_with(lambda app: app.every("1m"), handler)


@pytest.mark.parametrize("handler", [one_event, events, anything, nothing, site, some, data])
def test_a_handler_that_a_timer_can_start_is_taken(handler):
    describe_with(lambda app: app.cron("0 3 * * *"), handler)


@pytest.mark.parametrize("kind", ["dev.skerry.timer", "dev.knative.sources.ping"])
def test_a_timer_leaves_defaults_as_they_are(kind):
    headers, body = Event(type=kind, source="/skerry/timer/f", data={"schedule": "1m"}).to_binary()
    content_type = headers.pop("content-type")
    for handler in (site, some):
        assert Signature.of(handler).decode_call(body, content_type, headers) == ((), {})
    assert Signature.of(data).decode_call(body, content_type, headers) == (({"schedule": "1m"},), {})
