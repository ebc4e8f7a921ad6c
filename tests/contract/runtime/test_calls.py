"""How requests become arguments and results become answers, on every platform."""

import base64
import json

import msgpack
import numpy as np
import pytest

from skerry.payload import MSGPACK, decode, encode

APP = "calls.py"
MSGPACK_IN = ("content-type", MSGPACK)
MSGPACK_OUT = ("accept", MSGPACK)
OCTETS_IN = ("content-type", "application/octet-stream")
OCTETS = bytes(range(256))
EVENT = (("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/camera"), ("ce-type", "picture"))


@pytest.mark.parametrize("value", [None, 3, 2.5, "text", [1, [2]], {"a": {"b": None}}, "ü€😀", [], {}])
def test_one_parameter_is_the_value_of_the_body(platform, value):
    answer = platform.call("echo", value)
    assert (answer.status, answer.json()) == (200, value)
    assert answer.headers["content-type"] == "application/json"


def test_several_parameters_are_the_members_of_an_object(platform):
    assert platform.call("add", {"a": 2, "b": 3}).json() == 5
    assert platform.call("add", {"a": 2}).json() == 3


def test_a_function_without_parameters_needs_no_body(platform):
    assert platform.call("greet", b"").json() == "hello"
    assert platform.call("greet", {"ignored": 1}).json() == "hello"


def test_curl_without_a_content_type_is_understood_as_json(platform):
    assert platform.call("add", b'{"a": 1}', ("content-type", "application/x-www-form-urlencoded")).json() == 2


def test_messagepack_goes_in_and_out(platform):
    answer = platform.call("echo", msgpack.packb({"x": [1, b"raw"]}), MSGPACK_IN, MSGPACK_OUT)
    assert answer.headers["content-type"] == MSGPACK
    assert msgpack.unpackb(answer.body) == {"x": [1, b"raw"]}


def test_the_answer_is_json_unless_messagepack_is_asked_for(platform):
    answer = platform.call("add", msgpack.packb({"a": 1}), MSGPACK_IN)
    assert (answer.headers["content-type"], answer.json()) == ("application/json", 2)


@pytest.mark.parametrize("function", ["measure", "measure_all"])
def test_bytes_are_the_value_of_a_parameter_that_takes_them(platform, function):
    assert platform.call(function, OCTETS, OCTETS_IN).json() == 256
    assert platform.call(function, b"", OCTETS_IN).json() == 0
    assert platform.call(function, OCTETS, OCTETS_IN, *EVENT).json() == 256
    assert platform.call(function, base64.b64encode(b"abc").decode()).json() == 3


def test_bytes_are_the_value_of_a_parameter_that_takes_anything(platform):
    answer = platform.call("echo", OCTETS, OCTETS_IN, MSGPACK_OUT)
    assert msgpack.unpackb(answer.body) == OCTETS


@pytest.mark.parametrize("content_type", ["application/json", MSGPACK])
def test_arrays_travel_with_their_type_and_shape(platform, content_type):
    given = np.arange(6, dtype="float32").reshape(2, 3)
    body = encode(given, content_type)
    answer = platform.call("double", body, ("content-type", content_type), ("accept", content_type))
    assert answer.status == 200, answer
    found = decode(answer.body, content_type)
    array = np.asarray(found) if not isinstance(found, dict) else _array(found)
    np.testing.assert_array_equal(array, given * 2)
    assert array.dtype == given.dtype


def _array(wire):
    import base64

    return np.frombuffer(base64.b64decode(wire["data"]), wire["dtype"]).reshape(wire["shape"])


def test_nested_lists_are_taken_for_a_tensor(platform):
    assert platform.call("classify", {"image": [[1, 2], [3, 4]], "top": 1}).json() == [3.0]


def test_a_cloudevent_in_binary_mode_is_understood(platform):
    headers = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-type", "t"), ("ce-source", "/s")]
    answer = platform.call("observe", {"x": 1}, *headers)
    assert answer.json() == {"id": "7", "type": "t", "source": "/s", "data": {"x": 1}}


def test_a_cloudevent_in_structured_mode_is_understood(platform):
    event = {"specversion": "1.0", "id": "7", "type": "t", "source": "/s", "data": {"x": 1}}
    answer = platform.call("observe", event, ("content-type", "application/cloudevents+json"))
    assert answer.json() == {"id": "7", "type": "t", "source": "/s", "data": {"x": 1}}


def test_a_function_that_takes_no_event_gets_its_data(platform):
    headers = [("ce-specversion", "1.0"), ("ce-id", "7"), ("ce-type", "t"), ("ce-source", "/s")]
    assert platform.call("add", {"a": 4}, *headers).json() == 5


def test_an_event_that_is_returned_goes_out_in_binary_mode(platform):
    answer = platform.call("announce", {"x": 1})
    assert answer.status == 200
    assert answer.headers["ce-type"] == "conformance.announced"
    assert answer.headers["ce-specversion"] == "1.0"
    assert answer.headers["ce-id"]
    assert answer.json() == {"x": 1}


def test_an_event_without_data_goes_out_without_a_content_type(platform):
    answer = platform.call("ring", b"")
    assert (answer.status, answer.headers["ce-id"], answer.body) == (200, "1", b"")
    assert "content-type" not in answer.headers


def test_async_handlers_run_at_the_same_time(platform):
    clients = [platform.start_call("meet", 4) for _ in range(4)]
    answers = [client.read_answer() for client in clients]
    for client in clients:
        client.socket.close()
    assert [answer.json() for answer in answers] == [4] * 4


def test_an_async_handler_without_concurrency_runs_one_call_at_a_time(platform):
    with platform.connect() as client:
        for _ in range(200):  # fast calls are handed to a worker several at a time
            answer = client.call("/function/alone", 1)
        clients = [platform.start_call("alone", 1) for _ in range(20)]
        for other in clients:
            answer = other.read_answer()
            other.socket.close()
            assert answer.json() == 1


def test_a_class_is_loaded_once_and_called_often(platform):
    found = [platform.call("model", x).json() for x in (1, 2)]
    assert [f["x"] for f in found] == [1, 2]
    assert found[0]["loads"] == found[1]["loads"] >= 1


def test_a_load_that_is_shared_happened_in_another_process(platform):
    found = [platform.call("sharedmodel", x).json() for x in (1, 2)]
    assert [f["x"] for f in found] == [1, 2]
    assert all(f["loaded_by"] != f["pid"] for f in found)


def test_an_async_class_is_loaded_before_it_is_called(platform):
    assert platform.call("asyncmodel", 5).json() == 105


def test_many_requests_over_one_connection_get_their_own_answers(platform):
    with platform.connect() as client:
        client.send(b"".join(_request(i) for i in range(300)))
        assert [client.read_answer().json() for _ in range(300)] == list(range(1, 301))


def _request(number):
    body = json.dumps({"a": number}).encode()
    return b"POST /function/add HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def test_a_caller_that_asks_is_told_what_its_time_was_spent_on(platform):
    asked = platform.call("add", {"a": 2}, ("skerry-timing", "1"))
    assert asked.json() == 3
    parts = dict(part.strip().split(";dur=") for part in asked.headers["server-timing"].split(","))
    assert list(parts) == ["total", "queue", "start", "handler"]
    spent_ms = [float(parts[name]) for name in ("queue", "start", "handler")]
    assert all(part_ms >= 0 for part_ms in spent_ms)
    assert sum(spent_ms) <= float(parts["total"]) + 0.01
    assert "server-timing" not in platform.call("add", {"a": 2}).headers
