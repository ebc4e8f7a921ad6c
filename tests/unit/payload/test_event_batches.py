import json

import pytest

from skerry.errors import MalformedBodyError, SpecError
from skerry.payload import Event, Signature

BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


def document(id, **more):
    return {"specversion": "1.0", "id": id, "source": "/s", "type": "t", **more}


def take(events: list[Event]) -> None: ...


def add(numbers: list[int]) -> None: ...


def nothing() -> None: ...


def decode(handler, body, kind=BATCH):
    return Signature.of(handler).decode_call(json.dumps(body).encode(), kind)


def test_a_handler_of_a_list_of_events_gets_a_batch_and_of_one_event_a_list_of_one():
    both = [document("a", data={"x": 1}), document("b", data_base64="AAE=")]
    ((events,), _) = decode(take, both)
    assert [(event.id, event.data) for event in events] == [("a", {"x": 1}), ("b", b"\0\1")]
    ((events,), _) = decode(take, document("c"), STRUCTURED)
    assert [event.id for event in events] == ["c"]


def test_other_handlers_get_the_data_of_a_batch_as_a_list():
    assert decode(add, [document("a", data=1), document("b", data=2)]) == (([1, 2],), {})
    assert decode(nothing, [document("a", data=1)]) == ((), {})


def test_what_a_client_writes_is_what_a_handler_reads():
    events = [Event(type="t", data={"n": n}, extensions={"partitionkey": "k"}) for n in range(3)]
    signature = Signature.of(take)
    body = signature.encode_call((events,), {})
    assert signature.decode_call(body, BATCH) == ((events,), {})
    assert signature.decode_call(body, "application/json") == ((events,), {})
    assert signature.schema()["input"]["type"] == "array"


@pytest.mark.parametrize("body", [{}, [1], [{"id": "a"}], [document("a"), document("")]])
def test_what_is_no_batch_is_refused(body):
    with pytest.raises(MalformedBodyError):
        decode(take, body)


def test_a_list_of_events_is_the_only_parameter():
    def two(events: list[Event], more: int) -> None: ...

    with pytest.raises(SpecError, match="only one"):
        Signature.of(two)
