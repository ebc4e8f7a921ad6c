"""Whether two answers are alike."""

import struct

import msgpack
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skerry.errors import DeadlineExceededError, WorkerLostError
from skerry.payload import encode
from skerry.runtime.comparison import (
    HEADER_LENGTH,
    KEPT,
    MAX_COMPARED_BYTES,
    SHOWN_BYTES,
    ComparisonReport,
    Outcome,
    alike_values,
    compare,
)
from skerry.runtime.frames import Codec, Frame, Kind

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def result(body, codec=Codec.JSON, **meta):
    return Frame(Kind.RESULT, 1, codec, meta, body if isinstance(body, bytes) else orjson.dumps(body))


def error(status):
    return Frame(Kind.ERROR, 1, Codec.JSON, {"status": status}, b'{"error_id": "differs"}')


def tensors(*numbers, datatype="FP32", letter="f", **more):
    data = struct.pack(f"<{len(numbers)}{letter}", *numbers)
    output = {"name": "y", "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    head = orjson.dumps({"outputs": [output], **more})
    return result(
        head + data, Codec.OTHER, content_type="application/octet-stream", headers={HEADER_LENGTH: str(len(head))}
    )


@pytest.mark.parametrize("scores", ["probabilities", "scores"])
def test_classifiers_agree_that_decide_alike_however_sure_they_are(scores):
    def answer(label, score, version=1):
        return result({"labels": [label], scores: [[score, 1 - score]], "model": f"digits@{version}"})

    assert compare(answer(3, 0.9), answer(3, 0.6, version=2)) == Outcome.AGREES
    assert compare(answer(3, 0.9), answer(4, 0.9)) == Outcome.DIFFERS
    assert compare(answer(3, 0.9), result({"labels": [3], "model": "digits@2"})) == Outcome.DIFFERS
    assert not alike_values({scores: [0.9]}, {scores: [0.6]})  # where nothing is decided, the numbers are the answer


@given(values)
def test_a_value_agrees_with_itself_however_it_is_written(value):
    assert alike_values(value, value)
    assert (
        compare(result(orjson.dumps(value)), result(orjson.dumps(value, option=orjson.OPT_INDENT_2))) == Outcome.AGREES
    )
    packed = msgpack.packb(value)
    assert compare(result(packed, Codec.MSGPACK), result(packed, Codec.MSGPACK)) == Outcome.AGREES


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_in_messagepack_agree_as_their_numbers_do(dtype):
    def packed(number, shape=(1, 2)):
        return result(encode({"scores": np.full(shape, number, dtype=dtype)}, "application/msgpack"), Codec.MSGPACK)

    assert compare(packed(0.5), packed(0.500001)) == Outcome.AGREES
    assert compare(packed(0.5), packed(0.501)) == Outcome.DIFFERS
    assert compare(packed(0.5), packed(0.500001, (2, 1))) == Outcome.DIFFERS
    assert compare(packed(0.5), result(b"\xd4\x01\x05", Codec.MSGPACK)) == Outcome.DIFFERS


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5), st.floats(-0.9e-5, 0.9e-5))
def test_small_differences_of_numbers_agree_and_large_ones_do_not(numbers, share):
    near = [number + share * max(1.0, abs(number)) * 0.99 for number in numbers]
    far = [*numbers[:-1], numbers[-1] + 3e-5 * max(1.0, abs(numbers[-1]))]

    assert alike_values({"scores": numbers}, {"scores": near})
    assert not alike_values({"scores": numbers}, {"scores": far})


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ({"label": 1, "model": "a@1"}, {"label": 1, "model": "a@2"}, Outcome.AGREES),
        (
            {"model_name": "a", "model_version": "1", "outputs": []},
            {"model_version": "2", "outputs": []},
            Outcome.AGREES,
        ),
        ({"deep": {"version": 1}}, {"deep": {"version": 2}}, Outcome.DIFFERS),
        ({"label": 1}, {"label": True}, Outcome.DIFFERS),
        ({"label": 1}, {"label": 1.0}, Outcome.AGREES),
        ({"label": 1}, {"label": "1"}, Outcome.DIFFERS),
        ({"label": 1}, {"label": None}, Outcome.DIFFERS),
        ({"label": 1}, {"other": 1}, Outcome.DIFFERS),
        ([1, 2], [1, 2, 3], Outcome.DIFFERS),
        (b"not json", b"nor this", Outcome.DIFFERS),
        (b"[" * MAX_COMPARED_BYTES + b"1", b"[1]", Outcome.UNCOMPARED),
    ],
)
def test_bodies(first, second, outcome):
    assert compare(result(first), result(second)) == outcome


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (tensors(1.0, 2.0, model_version="1"), tensors(1.000001, 2.0, model_version="2"), Outcome.AGREES),
        (tensors(1.0, 2.0), tensors(1.1, 2.0), Outcome.DIFFERS),
        (tensors(1.0, datatype="FP16", letter="e"), tensors(1.0, id="x", datatype="FP16", letter="e"), Outcome.DIFFERS),
        (tensors(7, datatype="INT64", letter="q"), tensors(8, datatype="INT64", letter="q"), Outcome.DIFFERS),
        (tensors(1.0), result(b"bytes", Codec.OTHER, content_type="text/plain"), Outcome.DIFFERS),
        (result(b"a", Codec.OTHER, content_type="text/plain"), result(b"b", Codec.OTHER), Outcome.DIFFERS),
        (error(422), error(422), Outcome.AGREES),
        (error(422), error(500), Outcome.DIFFERS),
        (result(1), error(500), Outcome.DIFFERS),
        (error(500), result(1), Outcome.DIFFERS),
        (result(1), WorkerLostError("it died"), Outcome.FAILED),
        (DeadlineExceededError("late"), result(1), Outcome.UNCOMPARED),
        (Frame(Kind.END, 1, 0, {}, b""), Frame(Kind.END, 1, 0, {}, b""), Outcome.UNCOMPARED),
    ],
)
def test_answers(first, second, outcome):
    assert compare(first, second) == outcome


@given(st.binary(max_size=60), st.binary(max_size=60), st.sampled_from([*Codec]), st.integers(-5, 70))
def test_no_bytes_of_a_worker_break_a_comparison(first, second, codec, header_bytes):
    meta = {"headers": {HEADER_LENGTH: str(header_bytes)}}

    assert compare(result(first, codec, **meta), result(second, codec, **meta)) in Outcome


def test_a_report_counts_and_keeps_the_last_differences_short():
    report = ComparisonReport()
    for number in range(KEPT + 5):
        report.add(b"request %d" % number, result(b'"%d"' % number), result(b'"' + b"x" * 2000 + b'"'))
    report.add(b"same", result(1), result(1))
    report.add(b"failed", result(1), WorkerLostError("it died"))

    found = report.describe()
    assert (found["agrees"], found["differs"], found["failed"]) == (1, KEPT + 5, 1)
    assert found["agreement_ratio"] == 1 / (KEPT + 6)
    assert (report.agreements, report.comparisons) == (1, KEPT + 6)
    assert len(found["differences"]) == KEPT
    last = found["differences"][-1]
    assert (last["primary"], len(last["request_digest"])) == (f'"{KEPT + 4}"', 16)
    assert len(last["shadow"]) < SHOWN_BYTES + 10
    assert ComparisonReport().describe()["agreement_ratio"] is None
