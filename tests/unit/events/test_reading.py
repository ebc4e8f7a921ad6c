"""What is refused at the door, since it could not be written again behind it."""

import json

import orjson
import pytest

from skerry.errors import MalformedBodyError
from skerry.events.reading import entry_of, read_events
from skerry.payload import Event

BINARY = {"ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1", "content-type": "application/json"}


def nested(levels):
    return b"[" * levels + b"]" * levels


def structured(data):
    return b'{"specversion": "1.0", "type": "t", "source": "/s", "id": "1", "data": ' + data + b"}"


def read(form, data):
    if form == "binary":
        return read_events(BINARY, data)
    kind, body = {
        "structured": ("application/cloudevents+json", structured(data)),
        "batch": ("application/cloudevents-batch+json", b"[" + structured(data) + b"]"),
    }[form]
    return read_events({"content-type": kind}, body)


@pytest.mark.parametrize("form", ["binary", "structured", "batch"])
def test_an_event_that_is_taken_can_be_written_again_and_what_is_nested_more_deeply_is_refused(form):
    (entry,) = read(form, nested(250))
    assert json.loads(orjson.dumps([{"event": orjson.loads(entry.document)}]))
    for levels in (260, 1000):
        with pytest.raises(MalformedBodyError, match="nested too deeply"):
            read(form, nested(levels))
    with pytest.raises(MalformedBodyError, match="nested too deeply"):
        entry_of(Event(type="t", source="/s", id="1", data=orjson.loads(nested(253))))
