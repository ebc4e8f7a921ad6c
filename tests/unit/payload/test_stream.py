from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import msgpack
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import HandlerError, InvalidPayloadError, SkerryError, from_problem
from skerry.payload import PieceReader, Signature, piece_form

PROBLEM = orjson.dumps(InvalidPayloadError("too dark", lamp="none").to_problem())


def open_items(x):
    yield x


def texts(x: int) -> Iterator[str]:
    yield ""


def parts(x: int) -> Iterator[bytes]:
    yield b""


OPEN, TEXTS, PARTS = Signature.of(open_items), Signature.of(texts), Signature.of(parts)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def cut(data, places):
    places = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


@given(items=st.lists(plain), places=st.lists(st.integers(0, 400)))
def test_message_pack_streams_come_back_however_they_are_cut(items, places):
    form = piece_form(OPEN, "application/msgpack")
    data = b"".join(form.write(item) for item in items)
    reader = PieceReader(OPEN)
    assert [item for part in cut(data, places) for item in reader.feed(part)] == items


@given(items=st.lists(plain))
def test_each_line_and_each_event_is_one_item(items):
    lines = piece_form(OPEN, "")
    assert lines.content_type == "application/x-ndjson"
    text = b"".join(lines.write(item) for item in items)
    assert [orjson.loads(line) for line in text.split(b"\n")[:-1]] == items
    events = piece_form(OPEN, "text/event-stream")
    text = b"".join(events.write(item) for item in items)
    assert [orjson.loads(event.removeprefix(b"data: ")) for event in text.split(b"\n\n")[:-1]] == items


@pytest.mark.parametrize(
    ("signature", "accept", "content_type"),
    [
        (TEXTS, "", "application/x-ndjson"),
        (TEXTS, "text/html,*/*;q=0.1", "application/x-ndjson"),
        (TEXTS, "TEXT/Event-Stream; charset=utf-8", "text/event-stream"),
        (TEXTS, "application/x-msgpack", "application/msgpack"),
        (PARTS, "", "application/octet-stream"),
        (PARTS, "*/*", "application/octet-stream"),
        (PARTS, "application/x-ndjson", "application/x-ndjson"),
        (PARTS, "application/msgpack", "application/msgpack"),
    ],
)
def test_the_form_is_what_the_caller_accepts(signature, accept, content_type):
    assert piece_form(signature, accept).content_type == content_type


def test_an_error_in_message_pack_is_raised_where_it_stands():
    form = piece_form(OPEN, "application/msgpack")
    items = PieceReader(OPEN).feed(form.write(1) + form.write_error(PROBLEM))
    assert next(items) == 1
    with pytest.raises(InvalidPayloadError, match="too dark") as caught:
        next(items)
    assert caught.value.details == {"lamp": "none"}


def test_an_error_in_an_event_stream_is_an_event():
    text = piece_form(OPEN, "text/event-stream").write_error(PROBLEM)
    name, data, *rest = text.split(b"\n")
    assert (name, rest) == (b"event: error", [b"", b""])
    assert from_problem(orjson.loads(data.removeprefix(b"data: "))).message == "too dark"


def test_other_forms_have_no_word_for_an_error():
    assert piece_form(TEXTS, "").write_error is None
    assert piece_form(PARTS, "").write_error is None


def test_arrays_and_bytes_travel_in_message_pack():
    form = piece_form(OPEN, "application/msgpack")
    array, data = PieceReader(OPEN).feed(form.write(np.arange(3)) + form.write(b"ab"))
    assert array.tolist() == [0, 1, 2]
    assert data == b"ab"


def test_items_are_checked_on_both_sides():
    with pytest.raises(HandlerError):
        piece_form(TEXTS, "").write(object())
    with pytest.raises(HandlerError, match="bytes"):
        piece_form(PARTS, "").write("text")
    with pytest.raises(InvalidPayloadError):
        list(PieceReader(TEXTS).feed(msgpack.packb({"a": 1})))


@given(data=st.binary(max_size=64))
def test_other_bytes_are_refused_or_read(data):
    with suppress(SkerryError):  # whatever the bytes happen to spell
        list(PieceReader(OPEN).feed(data))
