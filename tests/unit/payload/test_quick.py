"""Reading without the schema library: what it takes, it takes as pydantic does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import SkerryError
from skerry.payload.hints import Parameter
from skerry.payload.quick import NotQuickError, QuickSchema, object_reader, value_reader
from skerry.payload.schema import Schema, object_hint

HINTS = [
    None,
    str,
    int,
    bool,
    float,
    list[int],
    list[float],
    list[list[float]],
    dict[str, int],
    dict[str, list[bool]],
    int | None,
    int | float,
    str | float | None,
]
PARAMETERS = (
    Parameter(name="a", hint=list[float], required=True, by_keyword=False),
    Parameter(name="b", hint=str, required=False, by_keyword=False),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "1", "1.5", "true", "x"])
)
NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


def outcome(read: Any, body: bytes) -> Any:
    try:
        return repr(read(body))
    except SkerryError as error:
        return error.to_problem()


@given(hint=st.sampled_from(HINTS), value=VALUES)
def test_a_value_is_read_as_pydantic_reads_it(hint, value):
    schema = Schema(hint, label="x", where="test")
    quick = QuickSchema(value_reader(hint), lambda: schema)
    try:
        body = orjson.dumps(value)
    except TypeError:  # over 64 bits
        body = str(value).encode()
    assert outcome(quick.read_json, body) == outcome(schema.read_json, body)


@given(value=VALUES)
def test_an_object_that_fills_parameters_is_read_as_pydantic_reads_it(value):
    schema = Schema(object_hint(PARAMETERS), label="", where="test")
    quick = QuickSchema(object_reader(PARAMETERS), lambda: schema)
    try:
        body = orjson.dumps(value)
    except TypeError:
        return
    assert outcome(quick.read_json, body) == outcome(schema.read_json, body)


@pytest.mark.parametrize("body", [b"-0", b"[-0]", b"NaN", b"18446744073709551616", b'"\\ud800"', b"", b"1 2"])
def test_what_two_readers_of_json_might_see_differently_is_left_to_pydantic(body):
    for hint in (float, list[float], int, str):
        schema = Schema(hint, label="x", where="test")
        quick = QuickSchema(value_reader(hint), lambda made=schema: made)
        assert outcome(quick.read_json, body) == outcome(schema.read_json, body)


@pytest.mark.parametrize("hint", [Any, list, dict[str, Any], tuple[int, int], bytes, dict[int, str], list[int] | None])
def test_other_annotations_need_pydantic(hint):
    assert value_reader(hint) is None


def test_what_does_not_fit_at_once_is_said_by_an_error_of_its_own():
    with pytest.raises(NotQuickError):
        value_reader(int)("1")


def test_a_worker_of_built_in_types_answers_without_pydantic_and_asks_it_when_a_value_does_not_fit():
    program = """
import sys
import skerry
app = skerry.App("a")
@app.function
def total(values: list[float]) -> float:
    return sum(values)
signature = total.signature
assert signature.read_argument(b"[1.5, 2]") == [1.5, 2.0]
assert signature.encode_json(3.5) == b"3.5"
assert signature.decode_msgpack(bytes([0x91, 0x01])) == (([1.0],), {})
assert not [name for name in sys.modules if name.startswith("pydantic")]
assert signature.decode_json(b'["2.5"]') == (([2.5],), {})
assert "pydantic" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
