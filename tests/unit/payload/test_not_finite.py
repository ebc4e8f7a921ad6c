"""Numbers that JSON does not have, though pydantic reads them."""

import dataclasses
import math
from typing import Annotated

import numpy as np
import pytest
from pydantic import BaseModel

from skerry.errors import MalformedBodyError, UserError
from skerry.payload import JSON, MSGPACK, Signature, Tensor
from skerry.payload.codec import encode_json, encode_msgpack


@dataclasses.dataclass
class Job:
    name: str
    rate: float = 0.5


class Image(BaseModel):
    pixels: list[list[float]]
    label: str | None = None


def score(petal: float) -> float: ...


def area(sepal: float, petal: float = 1.0) -> float: ...


def rows(values: list[float]) -> list[float]: ...


def pixels(image: Image) -> None: ...


def array(x: Annotated[np.ndarray, Tensor("float64", (None,))]) -> None: ...


def job(job: Job) -> None: ...


def anything(value) -> None: ...


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("handler", "body"),
    [
        (score, "%s"),
        (area, '{"sepal": 1, "petal": %s}'),
        (rows, "[1.5, %s]"),
        (pixels, '{"pixels": [[1, %s]], "label": "NaN"}'),
        (array, "[1, %s]"),
        (job, '{"name": "Infinity", "rate": %s}'),
        (anything, "[%s]"),
    ],
    ids=lambda given: given.__name__ if callable(given) else "",
)
def test_a_json_body_with_a_number_that_json_does_not_have_is_malformed(handler, body, number):
    signature = Signature.of(handler)
    text = (body % number).encode()
    with pytest.raises(MalformedBodyError, match="the body is not JSON: "):
        signature.decode_call(text, JSON)
    if signature.read_argument is not None:
        with pytest.raises((ValueError, MalformedBodyError)):
            signature.read_argument(text)


def name_of(name: str) -> str: ...


def names_of(names: list[str]) -> list[str]: ...


@pytest.mark.parametrize("text", ["NaN", 'Infinity " and NaN', "In", "é Infinity"])
def test_texts_may_speak_of_such_numbers(text):
    body = encode_json([text])
    assert Signature.of(names_of).decode_call(body, JSON) == (([text],), {})
    assert Signature.of(names_of).read_argument(body) == [text]
    assert Signature.of(name_of).decode_call(body[1:-1], JSON) == ((text,), {})


@pytest.mark.parametrize("body", [b"[NaN", b'["NaN", \xff]', b"[" * 5000 + b"NaN", b'["NaN", ' + b"1" * 5000 + b"x]"])
def test_what_else_is_wrong_with_a_body_that_names_such_numbers_is_refused_as_ever(body):
    with pytest.raises(UserError):
        Signature.of(rows).decode_call(body, JSON)


def test_messagepack_and_arrays_keep_such_numbers():
    (values,), _ = Signature.of(rows).decode_call(encode_msgpack([math.nan, math.inf]), MSGPACK)
    assert math.isnan(values[0])
    assert values[1] == math.inf
    whole = Signature.of(array)
    for content_type in (JSON, MSGPACK):
        (found,), _ = whole.decode_call(
            whole.encode_call((np.array([math.nan, math.inf]),), {}, content_type), content_type
        )
        assert np.array_equal(found, [math.nan, math.inf], equal_nan=True)
