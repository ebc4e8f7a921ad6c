"""An event that claims a source of the engine's own is taken, and is never the engine's."""

import json

import pytest

from skerry.events.claims import identity_of
from skerry.events.reading import entry_of, read_events
from skerry.events.sources.message import Message, Wrapping, entry_of_message
from skerry.events.timetable import timer_event
from skerry.payload import Event
from skerry.spec import Timer

OURS = timer_event("tick", Timer(every="2s"), 1e9)
ATTRIBUTES = {"specversion": "1.0", "type": "t", "source": OURS.source, "id": OURS.id}


def from_message(content_type, payload, properties):
    message = Message(channel="c", payload=payload, content_type=content_type, properties=properties)
    return entry_of_message(message, Wrapping(type="w", source="/w", ordered=False), id="7", came_s=1.0)


def published(form, **more):
    event = {**ATTRIBUTES, **more}
    body = json.dumps(event).encode()
    match form:
        case "binary":
            return read_events({f"ce-{name}": text for name, text in event.items()}, b"")[0]
        case "structured":
            return read_events({"content-type": "application/cloudevents+json"}, body + b"\n")[0]
        case "batch":
            return read_events({"content-type": "application/cloudevents-batch+json"}, b"[" + body + b"]")[0]
        case "structured message":
            return from_message("application/cloudevents+json", body, {})
        case "binary message":
            return from_message(None, b"", event)


FORMS = ["binary", "structured", "batch", "structured message", "binary message"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("more", [{}, {"skerrypublished": "false"}])
def test_an_event_under_the_name_of_a_timers_keeps_it_and_is_known_by_another(form, more):
    genuine, other = entry_of(OURS), published(form, **more)
    assert other.attributes["source"] == json.loads(other.document)["source"] == genuine.source
    assert other.id == genuine.id
    assert other.source != genuine.source
    assert other.source == published("batch").source  # so that it is known when it comes again
    assert other.attributes["skerrypublished"] == json.loads(other.document)["skerrypublished"]


@pytest.mark.parametrize("source", ["/test", "/skerry/cli", "/skerry/timers"])
def test_other_events_stay_what_they_are(source):
    body = json.dumps({**ATTRIBUTES, "source": source}).encode()
    (entry,) = read_events({"content-type": "application/cloudevents+json"}, body)
    assert (entry.source, entry.document) == (source, body)


def test_what_is_written_down_of_an_event_tells_the_engines_own_from_others():
    forged = Event.from_http({"content-type": "application/cloudevents+json"}, published("batch").document)
    assert (forged.source, forged.id) == (OURS.source, OURS.id)
    assert identity_of(forged) != identity_of(OURS) == (OURS.source, OURS.id)
