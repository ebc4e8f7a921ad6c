from typing import Annotated

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from skerry.errors import SpecError
from skerry.payload import Tensor
from skerry.payload.array import to_json_form


def adapter(*args):
    return TypeAdapter(Annotated[np.ndarray, Tensor(*args)])


def message(tensor, value):
    with pytest.raises(ValidationError) as caught:
        tensor.validate_python(value)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "value",
    [
        np.ones((2, 3), "float32"),
        to_json_form(np.ones((2, 3), "float32")),
        [[1, 1, 1], [1, 1, 1]],
        [[1.0, 1, 1], (1, 1, 1)],
    ],
    ids=["array", "json form", "whole numbers", "mixed numbers"],
)
def test_every_form_becomes_the_array(value):
    array = adapter("float32", (None, 3)).validate_python(value)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.ones((2, 3)))


def test_lists_are_read_from_json_in_one_pass():
    array = adapter("uint8", (3,)).validate_json(b"[1, 2, 255]")
    assert array.dtype == np.uint8
    assert array.tolist() == [1, 2, 255]


@pytest.mark.parametrize(
    ("value", "given"),
    [
        (np.ones((2, 3)), "float64 of shape (2, 3)"),
        (np.ones((2, 4), "float32"), "float32 of shape (2, 4)"),
        (np.ones(3, "float32"), "float32 of shape (3,)"),
        (to_json_form(np.ones((2, 3), "int8")), "int8 of shape (2, 3)"),
        ([[1, 2]], "float32 of shape (1, 2)"),
        ([[1, 2, 3], [4]], "lists of different lengths"),
        ([["a", "b", "c"]], "something else than numbers"),
        ([[None, 1, 2]], "something else than numbers"),
        ([[10**400, 1, 2]], "something else than numbers"),
        ([[1e300, 1, 2]], "numbers that it cannot hold"),
        ("text", "str"),
        (None, "NoneType"),
        ({"a": 1}, "dict"),
    ],
    ids=str,
)
def test_a_refusal_says_what_was_expected_and_what_was_given(value, given):
    text = message(adapter("float32", (None, 3)), value)
    assert "float32 of shape (any, 3)" in text
    assert given in text


@pytest.mark.parametrize("value", [[256], [-1], [1.5], [2**40]])
def test_lists_are_never_rounded_or_wrapped_to_fit(value):
    assert "expected uint8" in message(adapter("uint8"), value)


def test_without_a_dtype_any_numbers_are_accepted():
    tensor = adapter()
    assert tensor.validate_python([1, 2]).dtype == np.int64
    assert tensor.validate_python(np.ones(2, "float16")).dtype == np.float16
    assert "something else than numbers" in message(tensor, ["a"])
    assert "object of shape" in message(tensor, np.array([object()]))


def test_an_empty_list_takes_the_dtype():
    assert adapter("int16", (0,)).validate_python([]).dtype == np.int16


def test_a_broken_json_form_is_refused_with_its_reason():
    form = {**to_json_form(np.ones(2, "float32")), "shape": [3]}
    assert "takes 12 bytes, but there are 8" in message(adapter("float32"), form)


def test_json_output_is_the_json_form():
    value = np.ones(2, "float32")
    assert adapter("float32").dump_python(value, mode="json") == to_json_form(value)
    assert adapter("float32").dump_python(value) is value


def test_the_json_schema_states_the_dtype_and_the_lengths():
    schema = adapter("float32", (None, 64)).json_schema()
    form = schema["anyOf"][0]["properties"]
    assert form["dtype"] == {"const": "float32"}
    assert form["shape"]["prefixItems"] == [{"type": "integer", "minimum": 0}, {"const": 64}]


@pytest.mark.parametrize("args", [("object",), ("float128",), ("float32", (-1,)), ("float32", ("n",))])
def test_a_tensor_that_cannot_be_is_a_spec_error(args):
    with pytest.raises(SpecError, match="Tensor"):
        Tensor(*args)
