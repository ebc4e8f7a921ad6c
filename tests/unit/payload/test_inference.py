"""The Open Inference Protocol v2: bodies to named arrays and back."""

import numpy as np
import orjson
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from skerry.errors import InvalidPayloadError, MalformedBodyError
from skerry.payload.inference import (
    BINARY,
    LENGTH_HEADER,
    InferenceResponse,
    OutputWish,
    classify,
    decode_request,
    encode_response,
    header_length,
)

TRITON_TYPE = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64", "object": "BYTES"}
TRITON_TYPE |= {f"{sign}int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def triton_body(*inputs, outputs=(), **options):
    """Return the body that NVIDIA's client makes of arrays, and the length of its JSON."""
    tensors = []
    for name, array, binary in inputs:
        tensor = InferInput(name, list(array.shape), TRITON_TYPE[array.dtype.name])
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    wishes = [InferRequestedOutput(name, binary_data=binary, class_count=n) for name, binary, n in outputs]
    return InferenceServerClient.generate_request_body(tensors, outputs=wishes or None, **options)


def one(**tensor):
    """Return a body with one input."""
    return orjson.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2], **tensor}]})


def binary(size, rest, **tensor):
    entry = {"name": "x", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": size}, **tensor}
    head = orjson.dumps({"inputs": [entry]})
    return head + rest, len(head)


# That client sends FP16 as binary data only.
@pytest.mark.parametrize(
    ("dtype", "is_binary"), [(d, b) for d in TRITON_TYPE for b in (True, False) if b or d != "float16"]
)
def test_a_request_of_another_client_is_read(dtype, is_binary):
    if dtype == "object":
        array = np.array([[b"a", "é".encode(), b""]], dtype=object)
    else:
        array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    body, length = triton_body(("x", array, is_binary), request_id="7")
    request = decode_request(body, length)
    assert request.id == "7"
    assert request.inputs["x"].dtype == array.dtype
    assert request.inputs["x"].tolist() == array.tolist()


def test_json_and_binary_tensors_may_be_mixed():
    first, second = np.arange(6, dtype="float32").reshape(2, 3), np.array([[1], [2]], dtype="int64")
    third = np.array([[b"x"], [b"yz"]], dtype=object)
    body, length = triton_body(("a", first, True), ("b", second, False), ("c", third, True))
    inputs = decode_request(body, length).inputs
    assert list(inputs) == ["a", "b", "c"]
    assert all((inputs[name] == array).all() for name, array in (("a", first), ("b", second), ("c", third)))


def test_binary_data_are_not_copied():
    body, length = triton_body(("x", np.ones((4, 4), dtype="float32"), True))
    array = decode_request(body, length).inputs["x"]
    assert array.base is not None
    assert not array.flags.writeable


def test_wishes_for_outputs_are_read():
    x = np.ones(1, dtype="float32")
    body, length = triton_body(("x", x, True), outputs=[("p", True, 3), ("q", False, 0)])
    wishes = decode_request(body, length).outputs
    assert wishes == (OutputWish(name="p", binary=True, classes=3), OutputWish(name="q"))


def test_binary_data_output_is_the_default_of_all_outputs():
    head = orjson.loads(one())
    body = orjson.dumps({**head, "parameters": {"binary_data_output": True}, "outputs": [{"name": "p"}]})
    request = decode_request(body)
    assert request.binary
    assert request.outputs == (OutputWish(name="p", binary=True),)


def test_a_response_is_read_by_another_client():
    outputs = {
        "p": np.array([[0.25, 0.75]], dtype="float32"),
        "label": np.array(["é"], dtype=object),
        "n": np.array([2**63 + 1], dtype="uint64"),
        "h": np.array([1.5], dtype="float16"),
    }
    for chosen in (frozenset(), frozenset(outputs), frozenset({"label"})):
        response = InferenceResponse(model_name="m", model_version="3", outputs=outputs, binary=chosen, id="9")
        body, content_type, headers = encode_response(response)
        length = int(headers[LENGTH_HEADER]) if chosen else None
        assert (content_type == BINARY) == bool(chosen)
        result = InferResult.from_response_body(body, header_length=length)
        told = result.get_response()
        assert (told["model_name"], told["model_version"], told["id"]) == ("m", "3", "9")
        for name in ("p", "n", "h"):
            assert (result.as_numpy(name) == outputs[name]).all()
        label = result.as_numpy("label")[0]
        assert label in ("é".encode(), "é")


def test_nested_data_must_nest_as_the_shape_says():
    assert decode_request(one(shape=[1, 2], data=[[1, 2]])).inputs["x"].shape == (1, 2)
    with pytest.raises(InvalidPayloadError, match=r"declared as \[2, 1\], but the lists nest as \[1, 2\]"):
        decode_request(one(shape=[2, 1], data=[[1, 2]]))


def test_whole_numbers_do_for_floats_and_floats_not_for_whole_numbers():
    assert decode_request(one(data=[1, 2.5])).inputs["x"].tolist() == [1, 2.5]
    with pytest.raises(InvalidPayloadError, match="input 'x': expected INT32, given a number with a fraction"):
        decode_request(one(datatype="INT32", data=[1, 2.0]))


@pytest.mark.parametrize(
    ("datatype", "data", "said"),
    [
        ("FP32", ["1", "2"], "expected FP32, given text"),
        ("FP32", [1, None], "expected FP32, given null"),
        ("FP32", [1, True], "expected FP32, given true or false"),
        ("FP32", [1, {}], "expected FP32, given an object"),
        ("FP32", [1e39, 1], "1e.39 does not fit FP32"),
        ("FP16", [70000, 1], "70000 does not fit FP16"),
        ("UINT8", [256, 0], "256 does not fit UINT8"),
        ("UINT64", [-1, 0], "-1 does not fit UINT64"),
        ("INT64", [2**63, 0], "9223372036854775808 does not fit INT64"),
        ("BOOL", [1, 0], "expected BOOL, given a number"),
        ("BYTES", [1, 2], "expected BYTES, given a number"),
        ("FP32", [1, 2, 3], r"FP32 of shape \(2,\) has 2 elements, but there are 3"),
        ("FP32", [[1], 2], "different lengths or depths"),
        ("FP32", [[1], [2, 3]], "different lengths or depths"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_name(datatype, data, said):
    with pytest.raises(InvalidPayloadError, match=f"^input 'x': .*{said}") as caught:
        decode_request(one(datatype=datatype, data=data))
    assert caught.value.details["field"] == "x"


def test_one_long_text_among_many_short_ones_does_not_make_a_large_array():
    # NumPy gives every element of an array of text the room of the longest: here that would be 400 GB.
    data = ["x" * 1_000_000] + ["y"] * 100_000
    request = decode_request(one(datatype="BYTES", shape=[100_001], data=data))
    assert request.inputs["x"][0] == b"x" * 1_000_000
    with pytest.raises(InvalidPayloadError, match="given text"):
        decode_request(one(shape=[100_001], data=data))


@pytest.mark.parametrize("shape", [[2**62], [2**40, 2**40], [2**62] * 32, [0, 2**62, 2**62], [3]])
@pytest.mark.parametrize("datatype", ["FP32", "BYTES"])
def test_a_declared_shape_allocates_nothing(shape, datatype):
    body, length = binary(8, b"\0" * 8, shape=shape, datatype=datatype)
    with pytest.raises(InvalidPayloadError, match=f"input 'x': {datatype} of shape"):
        decode_request(body, length)
    with pytest.raises(InvalidPayloadError, match=f"input 'x': {datatype} of shape"):
        decode_request(one(shape=shape, datatype=datatype, data=["a", "b"] if datatype == "BYTES" else [1, 2]))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"[]", "must be an object"),
        (b"{}", "inputs: send a list"),
        (b'{"inputs": []}', "inputs: send a list"),
        (b'{"inputs": [1]}', r"inputs\[0\]: must be an object"),
        (b'{"inputs": [{"name": 1}]}', r"inputs\[0\]: name must be text"),
        (one(name=""), "name must be text"),
        (one(name="x" * 1025), "name must be text of 1 to 1024 characters"),
        (one(datatype="BF16"), "input 'x': BF16 is not supported"),
        (one(datatype="FP8"), "input 'x': datatype 'FP8' is not one of BOOL"),
        (one(datatype=None), "input 'x': datatype 'None'"),
        (one(shape=None), "input 'x': the shape must be a list"),
        (one(shape=[-1]), "whole number from 0"),
        (one(shape=[True]), "whole number from 0"),
        (one(shape=[1.0]), "whole number from 0"),
        (one(shape=[1] * 33), "at most 32"),
        (one(data=3), "data must be a list"),
        (one(parameters={"binary_data_size": 8}), "either data or"),
        (one(parameters=3), "input 'x': parameters: must be an object"),
        (orjson.dumps({**orjson.loads(one()), "id": 3}), "id: must be text"),
        (orjson.dumps({**orjson.loads(one()), "outputs": [{}]}), r"outputs\[0\]: name"),
        (orjson.dumps({**orjson.loads(one()), "outputs": 1}), "outputs: must be a list"),
        (orjson.dumps({**orjson.loads(one()), "parameters": {"binary_data_output": 1}}), "true or false"),
        (orjson.dumps({"inputs": orjson.loads(one())["inputs"] * 2}), "input 'x' is there twice"),
        (one() + b"x", "not JSON"),
    ],
)
def test_bodies_that_are_not_of_the_protocol_are_refused(body, said):
    with pytest.raises(MalformedBodyError, match=said):
        decode_request(body)


@pytest.mark.parametrize(
    ("size", "rest", "said"),
    [
        (8, b"\0" * 7, "binary_data_size is 8, but the body has only 7 bytes more"),
        (8, b"\0" * 9, "1 bytes behind the last tensor"),
        (4, b"\0" * 4, r"FP32 of shape \(2,\) takes 8 bytes, but there are 4"),
        (-8, b"\0" * 8, "whole number from 0"),
        (8.0, b"\0" * 8, "whole number from 0"),
        (2**63, b"", "the body has only 0 bytes"),
    ],
)
def test_wrong_lengths_of_binary_data_are_refused(size, rest, said):
    body, length = binary(size, rest)
    with pytest.raises((MalformedBodyError, InvalidPayloadError), match=said):
        decode_request(body, length)


@pytest.mark.parametrize("part", [b"\xff\xff\xff\xff", b"\1\0\0", b"\2\0\0\0a"])
def test_wrong_lengths_of_bytes_elements_are_refused(part):
    body, length = binary(len(part), part, datatype="BYTES", shape=[1])
    with pytest.raises(MalformedBodyError, match="element 0 of BYTES"):
        decode_request(body, length)


def test_a_bool_is_one_or_zero():
    body, length = binary(2, b"\1\2", datatype="BOOL")
    with pytest.raises(MalformedBodyError, match="0 or 1"):
        decode_request(body, length)


@pytest.mark.parametrize("text", ["", "-1", "0", "4", "x", "1e3", "٣", "9" * 40])
def test_a_wrong_length_header_is_refused(text):
    with pytest.raises(MalformedBodyError, match="Inference-Header-Content-Length"):
        header_length(text, b"abc")
    assert header_length(None, b"abc") == header_length("3", b"abc") == 3


def test_what_json_cannot_say_is_refused_with_the_way_out():
    for array in (np.array([np.nan]), np.array([np.inf], dtype="float16"), np.array([b"\xff"], dtype=object)):
        response = InferenceResponse(model_name="m", model_version="1", outputs={"p": array})
        with pytest.raises(InvalidPayloadError, match=r"output 'p' .* as binary data"):
            encode_response(response)


def test_the_best_classes_come_first():
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.0]], dtype="float32")
    found = classify(scores, 2, ["a", "b", "c"])
    assert found.tolist() == [[b"0.700000:1:b", b"0.200000:2:c"], [b"0.500000:0:a", b"0.500000:1:b"]]
    assert classify(scores[0], 9, None).shape == (3,)
    with pytest.raises(InvalidPayloadError, match="leave the parameter out"):
        classify(np.array(["a"], dtype=object), 1, None)
