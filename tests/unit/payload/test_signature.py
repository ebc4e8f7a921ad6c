from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import threading
from typing import Annotated, Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from skerry.errors import (
    HandlerError,
    InvalidPayloadError,
    MalformedBodyError,
    SpecError,
    UnsupportedMediaTypeError,
    UserError,
)
from skerry.payload import JSON, MSGPACK, Event, Signature, Tensor

CODECS = pytest.mark.parametrize("content_type", [JSON, MSGPACK])


@dataclasses.dataclass
class Job:
    name: str
    rate: float = 0.5


class Image(BaseModel):
    pixels: Annotated[np.ndarray, Tensor("float32", (None, 2))]
    label: str | None = None


@dataclasses.dataclass
class Fit:
    epochs: int
    score: float


def train(job: Job) -> Fit:
    return Fit(1, job.rate)


def look(image: Image) -> NDArray[np.float32]:
    return image.pixels.sum(axis=1)


def add(a: int, b: int, *, c: list[float] | None = None) -> int:
    return a + b + len(c or [])


async def wait(seconds: float) -> None: ...


def anything(value):
    return value


def size(content: bytes) -> int:
    return len(content)


def nothing() -> str:
    return "done"


class Scaler:
    def __init__(self):
        self.factor = 2

    def __call__(self, x: float) -> float:
        return x * self.factor


def on_event(event: Event) -> Event | None:
    return event


def call(handler, body, content_type=JSON, headers=None):
    args, kwargs = Signature.of(handler).decode_call(body, content_type, headers)
    return handler(*args, **kwargs)


def errors_of(handler, body, content_type=JSON):
    with pytest.raises(InvalidPayloadError) as caught:
        Signature.of(handler).decode_call(body, content_type)
    return caught.value


def round_trip(handler, content_type, *args, **kwargs):
    signature = Signature.of(handler)
    got_args, got_kwargs = signature.decode_call(signature.encode_call(args, kwargs, content_type), content_type)
    body, result_type, headers = signature.encode_result(handler(*got_args, **got_kwargs), content_type)
    return signature.decode_result(body, result_type, headers)


@CODECS
def test_a_dataclass_travels_both_ways(content_type):
    assert round_trip(train, content_type, Job("a", 0.25)) == Fit(1, 0.25)


@CODECS
def test_arrays_in_models_travel_both_ways(content_type):
    result = round_trip(look, content_type, Image(pixels=np.ones((3, 2), "float32")))
    assert result.dtype == np.float32
    assert result.tolist() == [2, 2, 2]


@CODECS
def test_several_parameters_travel_by_name(content_type):
    assert round_trip(add, content_type, 1, b=2) == 3
    assert round_trip(add, content_type, 1, 2, c=[1.5]) == 4


@CODECS
def test_unannotated_values_travel_as_they_are(content_type):
    assert round_trip(anything, content_type, {"a": [1, None, "x"]}) == {"a": [1, None, "x"]}


@given(st.integers(), st.integers())
def test_whole_numbers_of_any_size_travel_as_json(a, b):
    signature = Signature.of(add)
    assert signature.decode_json(signature.encode_call((a, b), {})) == ((), {"a": a, "b": b})


def test_one_parameter_takes_the_whole_body():
    assert Signature.of(train).decode_json(b'{"name":"a"}') == ((Job("a"),), {})
    assert Signature.of(train).parameters == ("job",)


def test_no_parameter_ignores_the_body():
    assert call(nothing, b"not json", "text/plain") == "done"
    assert Signature.of(nothing).decode_json(b"{") == ((), {})


def test_a_class_is_read_by_its_call_method():
    signature = Signature.of(Scaler)
    assert signature.parameters == ("x",)
    assert signature.decode_json(b"2") == ((2.0,), {})
    assert Signature.of(Scaler()).decode_json(b"2") == ((2.0,), {})


def test_async_functions_partials_and_wrapped_functions_are_read():
    @functools.wraps(train)
    def wrapped(*args, **kwargs):
        return train(*args, **kwargs)

    assert Signature.of(wait).decode_json(b"2") == ((2.0,), {})
    assert Signature.of(functools.partial(add, c=None)).parameters == ("a", "b", "c")
    assert Signature.of(wrapped).decode_json(b'{"name":"a"}') == ((Job("a"),), {})


def test_a_default_makes_the_body_optional():
    def one(limit: int = 7): ...

    def several(a: int = 1, b: int = 2): ...

    def by_name(*, limit: int = 7): ...

    for handler in (one, several, by_name):
        for read in (Signature.of(handler).decode_json, Signature.of(handler).decode_msgpack):
            assert read(b"") == ((), {})
    assert Signature.of(several).decode_json(b'{"b":3}') == ((), {"b": 3})
    assert Signature.of(by_name).decode_json(b"3") == ((), {"limit": 3})
    assert Signature.of(one).encode_call((), {}) == b""
    assert Signature.of(several).encode_call((), {}) == b"{}"


def test_one_positional_only_parameter_is_fine():
    def handler(x: int, /): ...

    assert Signature.of(handler).decode_json(b"1") == ((1,), {})


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (lambda *values: 0, r"\*values"),
        (lambda **members: 0, r"\*\*members"),
        (lambda a, b, /: 0, "positional-only"),
    ],
)
def test_parameters_that_no_body_can_fill_are_refused_by_name(handler, name):
    with pytest.raises(SpecError, match=name):
        Signature.of(handler)


def test_an_annotation_without_a_schema_is_refused_with_the_parameter():
    def handler(good: int, lock: threading.Thread): ...

    with pytest.raises(SpecError, match="parameter lock"):
        Signature.of(handler)


def test_a_result_without_a_schema_is_refused():
    def handler(x: int) -> threading.Thread: ...

    with pytest.raises(SpecError, match="result"):
        Signature.of(handler)


def test_an_unknown_name_in_an_annotation_is_refused():
    def handler(x: Missing): ...  # noqa: F821  # the point of the test

    with pytest.raises(SpecError, match="Missing"):
        Signature.of(handler)


@pytest.mark.parametrize("handler", [object, 5, "text"])
def test_what_cannot_be_called_is_refused(handler):
    with pytest.raises(SpecError, match="__call__"):
        Signature.of(handler)


def test_an_event_beside_other_parameters_is_refused():
    def handler(event: Event, x: int): ...

    with pytest.raises(SpecError, match="Event"):
        Signature.of(handler)


def test_a_refusal_names_the_path_of_every_field():
    error = errors_of(train, b'{"rate": "fast"}')
    assert [e["field"] for e in error.details["errors"]] == ["job.name", "job.rate"]
    assert error.message.startswith("job.name: ")
    assert "(and 1 more)" in error.message
    assert errors_of(add, b'{"a":1,"b":2,"c":[1,"x"]}').details["errors"][0]["field"].startswith("c")


@CODECS
def test_a_wrong_array_names_the_field_and_both_shapes(content_type):
    body = Signature.of(anything).encode_call(({"pixels": np.ones((2, 3), "float32")},), {}, content_type)
    error = errors_of(look, body, content_type)
    assert error.details["errors"][0]["field"] == "image.pixels"
    assert "float32 of shape (any, 2)" in error.message
    assert "float32 of shape (2, 3)" in error.message


def test_unknown_members_are_refused_where_several_parameters_are():
    assert errors_of(add, b'{"a":1,"b":2,"d":3}').details["errors"][0]["field"] == "d"


def test_a_body_that_is_no_object_is_refused_where_several_parameters_are():
    assert "object" in errors_of(add, b"[1,2]").message


def test_few_of_many_errors_are_reported():
    def handler(values: list[int]): ...

    error = errors_of(handler, b"[" + b",".join([b'"x"'] * 500) + b"]")
    assert len(error.details["errors"]) == 20
    assert "and 499 more" in error.message


@pytest.mark.parametrize("handler", [train, add, anything, look, wait, on_event])
@given(body=st.binary())
def test_any_bytes_are_refused_as_the_users_fault_or_read(handler, body):
    signature = Signature.of(handler)
    for read in (signature.decode_json, signature.decode_msgpack):
        with contextlib.suppress(UserError):
            read(body)


BOMBS = [
    b"[" * 100_000,
    b'{"name":' * 50_000,
    b'{"name":"a","rate":' + b"1" * 5_000 + b"}",
    b"\xff",
    b'{"name":"\xff"}',
]


@pytest.mark.parametrize("handler", [train, anything, add])
@pytest.mark.parametrize("body", BOMBS, ids=["lists", "objects", "digits", "not UTF-8", "text that is not UTF-8"])
def test_bombs_are_malformed(handler, body):
    with pytest.raises(MalformedBodyError, match=r"line 1 column|not JSON"):
        Signature.of(handler).decode_json(body)


@pytest.mark.parametrize("handler", [train, anything, add])
def test_broken_json_names_the_position(handler):
    with pytest.raises(MalformedBodyError, match="line 1 column"):
        Signature.of(handler).decode_json(b'{"name" "a"}')


def test_an_unknown_content_type_is_refused():
    with pytest.raises(UnsupportedMediaTypeError):
        Signature.of(train).decode_call(b"", "text/plain")
    with pytest.raises(UnsupportedMediaTypeError):
        Signature.of(train).encode_result(1, "text/plain")


def test_bytes_as_they_are_are_refused_by_what_takes_something_else():
    with pytest.raises(UnsupportedMediaTypeError, match="'application/octet-stream': send application/json or"):
        Signature.of(train).decode_call(b"1", "application/octet-stream")


def test_who_may_send_bytes_is_told_so():
    with pytest.raises(UnsupportedMediaTypeError, match=r"'image/jpeg': send .* or application/octet-stream"):
        Signature.of(size).decode_call(b"1", "image/jpeg")


@pytest.mark.parametrize("handler", [anything, size])
def test_an_event_of_bytes_gives_them_to_a_handler_of_its_data(handler):
    event = Event(type="t", source="/s", data=b"\x00\xff")
    headers, body = event.to_binary()
    assert Signature.of(handler).decode_call(body, headers["content-type"], headers) == ((b"\x00\xff",), {})
    structured = json.dumps({"specversion": "1.0", "id": "1", "type": "t", "source": "/s", "data_base64": "AP8="})
    assert Signature.of(handler).decode_call(structured.encode(), "application/cloudevents+json")[0] == (b"\x00\xff",)


@CODECS
def test_a_result_close_to_its_annotation_is_converted(content_type):
    signature = Signature.of(train)
    for value in (Fit(np.int64(3), np.float32(0.5)), {"epochs": 3, "score": 0.5}):
        body, *_ = signature.encode_result(value, content_type)
        assert signature.decode_result(body, content_type) == Fit(3, 0.5)


@CODECS
@pytest.mark.parametrize(
    "value", [{"epochs": 3}, Fit("x", 1), None, object()], ids=["dict", "fields", "none", "object"]
)
def test_a_result_that_is_not_its_annotation_is_the_handlers_error(content_type, value):
    with pytest.raises(HandlerError, match="result"):
        Signature.of(train).encode_result(value, content_type)


@CODECS
def test_a_result_without_a_form_is_the_handlers_error_and_names_the_type(content_type):
    with pytest.raises(HandlerError, match="Thread"):
        Signature.of(anything).encode_result(threading.Thread(), content_type)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_say_is_the_handlers_error(value):
    def plain() -> list[float]: ...

    for handler, result in ((train, Fit(1, value)), (plain, [value]), (anything, {"a": value})):
        with pytest.raises(HandlerError, match="JSON has no number for"):
            Signature.of(handler).encode_json(result)


def test_a_wrong_array_result_is_the_handlers_error():
    with pytest.raises(HandlerError, match="float32"):
        Signature.of(look).encode_json(np.ones(2, "float64"))


def test_bytes_travel_as_base64_in_json():
    def echo(data: bytes) -> bytes: ...

    signature = Signature.of(echo)
    assert signature.decode_json(signature.encode_call((b"\xff\0",), {})) == ((b"\xff\0",), {})
    assert signature.decode_result(signature.encode_json(b"\xff\0"), JSON) == b"\xff\0"


@CODECS
def test_keys_that_are_not_text_travel_where_they_are_annotated(content_type):
    def count() -> dict[int, str]: ...

    signature = Signature.of(count)
    body, *_ = signature.encode_result({1: "a"}, content_type)
    assert signature.decode_result(body, content_type) == {1: "a"}


def test_bare_array_annotations_are_understood():
    def handler(a: np.ndarray, b: NDArray[np.int8], c: dict[str, np.ndarray], d: np.ndarray | None = None): ...

    _, kwargs = Signature.of(handler).decode_json(b'{"a":[1.5],"b":[1],"c":{"x":[2]}}')
    assert (kwargs["a"].dtype, kwargs["b"].dtype, kwargs["c"]["x"].dtype) == (np.float64, np.int8, np.int64)
    assert errors_of(handler, b'{"a":[1.5],"b":[300],"c":{}}').details["errors"][0]["field"] == "b"


@pytest.mark.parametrize("args", [(), (1, 2, 3)])
def test_wrong_arguments_are_refused_before_they_are_sent(args):
    with pytest.raises(InvalidPayloadError, match="argument"):
        Signature.of(add).encode_call(args, {})


@CODECS
def test_arguments_of_a_wrong_type_are_refused_before_they_are_sent(content_type):
    with pytest.raises(InvalidPayloadError, match="job"):
        Signature.of(train).encode_call((5,), {}, content_type)


def test_the_schemas_come_from_the_annotations():
    def handler(n: Annotated[int, Field(ge=0)]) -> Fit: ...

    schema = Signature.of(handler).schema()
    assert schema["input"] == {"minimum": 0, "type": "integer"}
    assert schema["output"]["required"] == ["epochs", "score"]
    assert Signature.of(add).schema()["input"]["required"] == ["a", "b"]
    assert Signature.of(anything).schema() == {"input": {}, "output": {}}
    assert Signature.of(on_event).schema()["input"]["title"] == "CloudEvent"


EVENT = Event(type="t", source="/s", id="1", data={"name": "a"})


def test_an_event_parameter_gets_the_event_in_either_mode():
    for headers, body in (EVENT.to_binary(), EVENT.to_structured()):
        assert call(on_event, body, headers["content-type"], headers) == EVENT


def test_an_event_travels_through_a_client_call():
    signature = Signature.of(on_event)
    assert signature.takes_event
    assert signature.decode_call(signature.encode_call((EVENT,), {}), JSON) == ((EVENT,), {})


def test_another_handler_gets_the_data_of_an_event():
    for headers, body in (EVENT.to_binary(), EVENT.to_structured()):
        assert call(train, body, headers["content-type"], headers) == Fit(1, 0.5)


def test_msgpack_data_of_an_event_is_read():
    event = Event(type="t", data={"name": "a"}, datacontenttype=MSGPACK)
    for headers, body in (event.to_binary(), event.to_structured()):
        assert call(train, body, headers["content-type"], headers) == Fit(1, 0.5)


@pytest.mark.parametrize("handler", [train, on_event])
def test_a_broken_event_is_malformed_for_every_handler(handler):
    with pytest.raises(MalformedBodyError, match="source"):
        call(handler, b"{}", JSON, {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t"})


@pytest.mark.parametrize(("body", "content_type"), [(b"", JSON), (b"{}", JSON), (b"\x80", MSGPACK)])
def test_a_plain_request_to_an_event_handler_is_malformed(body, content_type):
    with pytest.raises(MalformedBodyError, match="CloudEvent"):
        call(on_event, body, content_type)


def test_an_event_result_is_sent_in_binary_mode():
    for handler in (on_event, anything):
        signature = Signature.of(handler)
        assert signature.returns_event
        body, content_type, headers = signature.encode_result(EVENT)
        assert (content_type, headers["ce-type"], body) == (JSON, "t", b'{"name":"a"}')
        assert signature.decode_result(body, content_type, headers) == EVENT


def test_an_event_result_without_its_headers_is_structured():
    assert Event.from_http({"content-type": "application/cloudevents+json"}, Signature.of(on_event).encode_json(EVENT))


def test_a_result_that_may_be_an_event_may_be_something_else():
    assert Signature.of(on_event).encode_result(None) == (b"null", JSON, {})
    assert not Signature.of(train).returns_event


def test_an_event_result_that_cannot_be_sent_is_the_handlers_error():
    with pytest.raises(HandlerError, match="image/png"):
        Signature.of(on_event).encode_result(Event(type="t", data={}, datacontenttype="image/png"))


def test_types_of_an_enclosing_function_are_found_when_the_handler_uses_them():
    class Local(BaseModel):
        x: int

    def handler(value: Local) -> Any:
        return Local(x=value.x)

    assert call(handler, b'{"x": 1}') == Local(x=1)


@CODECS
def test_models_are_written_as_their_class_says_and_subclasses_as_the_annotation_says(content_type):
    class Base(BaseModel):
        x: int

    class More(Base):
        y: int = 2

    def handler() -> Base: ...

    handler.__annotations__["return"] = Base
    signature = Signature.of(handler)
    for value in (Base(x=1), More(x=1), {"x": 1}):
        body, *_ = signature.encode_result(value, content_type)
        assert Signature.of(anything).decode_result(body, content_type) == {"x": 1}
    with pytest.raises(HandlerError, match=r"result\.x"):
        signature.encode_result({"x": "many"}, content_type)


def test_a_model_with_a_number_that_json_cannot_say_is_the_handlers_error():
    class Score(BaseModel):
        value: float

    def handler() -> Score: ...

    handler.__annotations__["return"] = Score
    with pytest.raises(HandlerError, match="JSON has no number for"):
        Signature.of(handler).encode_json(Score(value=float("nan")))


@CODECS
def test_what_should_have_been_an_object_is_told_its_members(content_type):
    def total(items: list[float], vat: float = 0.2) -> float:
        return sum(items) * vat

    def run(job: Job) -> str:
        return job.name

    body = b"[]" if content_type == JSON else b"\x90"
    with pytest.raises(InvalidPayloadError, match="its members: items, vat"):
        Signature.of(total).decode_call(body, content_type)
    with pytest.raises(InvalidPayloadError, match="its members: name, rate"):
        Signature.of(run).decode_call(body, content_type)


@dataclasses.dataclass
class Flower:
    sepal: float
    petal: float


@dataclasses.dataclass
class Named:
    named: str
    petal: float


def area(flower: Flower) -> float:
    return flower.sepal * flower.petal


def double(n: int) -> int:
    return 2 * n


def rename(named: Named) -> str:
    return named.named


def both(a: int, b: int) -> int:
    return a + b


ITSELF = "the body is the value of {!r} itself: leave the name out"


@pytest.mark.parametrize(
    ("handler", "body", "name"),
    [(area, b'{"flower": {"sepal": 1, "petal": 2}}', "flower"), (double, b'{"n": 4}', "n")],
)
def test_a_body_that_names_the_only_parameter_is_told_to_leave_the_name_out(handler, body, name):
    signature = Signature.of(handler)

    with pytest.raises(InvalidPayloadError, match=re.escape(ITSELF.format(name))):
        signature.decode_json(body)
    with pytest.raises(InvalidPayloadError, match=re.escape(ITSELF.format(name))):
        signature.decode_msgpack(msgpack.packb(json.loads(body)))


@pytest.mark.parametrize(
    ("handler", "body"),
    [
        (area, b'{"sepal": 1}'),
        (area, b'{"flower": {"sepal": 1, "petal": 2}, "more": 1}'),
        (area, b'{"flower": NaN}'),
        (double, b'"n"'),
        (rename, b'{"named": "x"}'),  # the name of a member as well
        (both, b'{"a": 1}'),
    ],
)
def test_other_bodies_that_do_not_fit_are_not_told_of_a_name(handler, body):
    with pytest.raises((InvalidPayloadError, MalformedBodyError)) as caught:
        Signature.of(handler).decode_json(body)

    assert "itself" not in caught.value.message


def test_a_result_that_is_an_object_is_not_told_of_a_name():
    with pytest.raises(InvalidPayloadError) as caught:
        Signature.of(double).decode_result(b'{"result": 4}', "application/json")

    assert "itself" not in caught.value.message
