"""Messages of any form become an event: one of them stops no source."""

import base64
import json

import pytest

from skerry.events.sources.message import Message, Wrapping, entry_of_message

EVENT = b'{"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}'


def wrapped(payload, content_type=None, **properties):
    wrapping = Wrapping(type="w", source="/w", ordered=False)
    message = Message(channel="c", payload=payload, content_type=content_type, properties=properties)
    return json.loads(entry_of_message(message, wrapping, id="7", came_s=1.0).document)


def test_json_that_is_nested_too_deeply_to_be_written_is_wrapped_as_bytes():
    payload = b"[" * 300 + b"]" * 300
    for attributes in ({}, {"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}):
        document = wrapped(payload, **attributes)
        assert (document["type"], document["datacontenttype"]) == ("w", "application/octet-stream")
        assert base64.b64decode(document["data_base64"]) == payload


@pytest.mark.parametrize("payload", [b"[]", b"[%s, %s]" % (EVENT, EVENT)])
def test_a_batch_that_is_not_one_event_is_wrapped(payload):
    attributes = {"specversion": "1.0", "type": "t", "source": "/s", "id": "1"}
    assert wrapped(payload, "application/cloudevents-batch+json", **attributes)["type"] == "w"
    assert wrapped(payload, "application/json", **attributes)["type"] == "t"
