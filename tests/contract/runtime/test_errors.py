"""What callers are told when something is wrong, on every platform."""

import gzip

import msgpack
import pytest

APP = "wrong.py"
PROBLEM = "application/problem+json"


def assert_problem(answer, status, code):
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["content-type"] == PROBLEM
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert isinstance(problem["retryable"], bool)
    return problem


def test_an_unknown_function_is_404_and_the_message_names_those_there_are(platform):
    problem = assert_problem(platform.call("nothing"), 404, "not_found")
    assert "echo" in problem["detail"]


def test_an_unknown_path_is_404(platform):
    assert_problem(platform.send("POST", "/function/echo/further"), 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_function_is_called_with_post_alone(platform, method):
    assert_problem(platform.send(method, "/function/echo"), 405, "method_not_allowed")


def test_head_is_answered_without_a_body(platform):
    assert platform.send("HEAD", "/health/liveness").status == 200
    assert platform.send("HEAD", "/function/echo").status == 405


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"\xc1", "application/msgpack"),
        (b"\x92\x01", "application/msgpack"),
        (b"[1]", "application/cloudevents+json"),
        (b'{"specversion": "1.0"}', "application/cloudevents+json"),
    ],
)
def test_a_malformed_body_is_400(platform, body, content_type):
    assert_problem(platform.call("echo", body, ("content-type", content_type)), 400, "malformed_body")


@pytest.mark.parametrize(
    ("function", "body"),
    [
        ("echo", b"[NaN]"),
        ("scale", b'{"numbers": [1, -Infinity]}'),
        ("scale", b'{"numbers": [1], "factor": NaN}'),
        ("only", b"[Infinity]"),
    ],
)
def test_numbers_that_json_does_not_have_are_malformed(platform, function, body):
    assert_problem(platform.call(function, body), 400, "malformed_body")
    event = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t"), ("ce-source", "s")]
    assert_problem(platform.call(function, body, *event), 400, "malformed_body")
    structured = b'{"specversion":"1.0","id":"1","type":"t","source":"s","data":%s}' % body
    answer = platform.call(function, structured, ("content-type", "application/cloudevents+json"))
    assert_problem(answer, 400, "malformed_body")


def test_messagepack_has_such_numbers(platform):
    body = msgpack.packb([float("inf"), 1.0])
    form = ("content-type", "application/msgpack"), ("accept", "application/msgpack")
    assert msgpack.unpackb(platform.call("only", body, *form).body) == [float("inf"), 1.0]


def test_a_cloudevent_with_a_missing_attribute_is_400(platform):
    answer = platform.call("observe", {}, ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t"))
    assert "source" in assert_problem(answer, 400, "malformed_body")["detail"]


def test_cloudevent_attributes_without_end_are_refused_and_harm_nobody(platform):
    headers = [(f"ce-x{i}", "é" * 500) for i in range(60)]
    assert_problem(platform.call("observe", {}, *headers), 400, "malformed_body")
    assert platform.call("echo", 1).json() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"a": "many"}, "a"),
        ({"b": 1}, "a"),
        ({"a": 1, "b": None}, "b"),
        ([1], ""),
    ],
)
def test_a_value_that_does_not_fit_is_422_and_the_message_names_the_field(platform, body, field):
    problem = assert_problem(platform.call("add", body), 422, "invalid_payload")
    assert field in [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize(
    "image",
    [
        [[1, 2, 3]],
        [1, 2],
        [["x", "y"]],
        {"dtype": "float64", "shape": [1, 2], "data": "AAAAAAAAAAAAAAAAAAAAAA=="},
        {"dtype": "float32", "shape": [1, 3], "data": "AAAAAAAAAAAAAAAA"},
    ],
    ids=["shape", "dimensions", "text", "wire dtype", "wire shape"],
)
def test_a_tensor_of_a_wrong_type_or_shape_is_422(platform, image):
    problem = assert_problem(platform.call("classify", {"image": image, "top": 1}), 422, "invalid_payload")
    assert "image" in problem["detail"]


def test_an_unknown_media_type_is_415(platform):
    assert_problem(platform.call("echo", b"<x/>", ("content-type", "text/xml")), 415, "unsupported_media_type")


def test_a_compressed_body_is_415(platform):
    headers = (("content-type", "application/json"), ("content-encoding", "gzip"))
    for _ in range(3):  # also from a head that was seen before
        problem = assert_problem(platform.call("echo", gzip.compress(b"1"), *headers), 415, "unsupported_media_type")
        assert "'gzip'" in problem["detail"]


def test_a_body_over_max_body_is_413(platform):
    assert platform.call("echo", "x" * (64 * 1024 - 2)).status == 200
    assert_problem(platform.call("echo", "x" * (64 * 1024 - 1)), 413, "body_too_large")
    with platform.connect() as client:  # refused by its head alone
        client.send(b"POST /function/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10000000\r\n\r\n")
        assert_problem(client.read_answer(), 413, "body_too_large")
        assert client.is_closed()


def test_a_handler_that_raises_is_500_and_only_the_log_says_why(platform):
    answer = platform.call("fail", "swordfish")
    problem = assert_problem(answer, 500, "handler_failed")
    assert b"swordfish" not in answer.body
    assert b"Traceback" not in answer.body
    platform.wait_for_log("fail", problem["error_id"], "ValueError: the secret is swordfish", "about to fail")


def test_a_result_that_cannot_be_sent_is_500(platform):
    problem = assert_problem(platform.call("unsendable", b""), 500, "handler_failed")
    platform.wait_for_log("unsendable", problem["error_id"])


@pytest.mark.parametrize("function", ["leave", "leave_async", "cancel_itself"])
def test_a_handler_that_exits_is_500_and_its_worker_lives(platform, function):
    for _ in range(3):
        assert_problem(platform.call(function, b""), 500, "handler_failed")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[broken", "https://localhost:1"])
def test_a_page_of_another_site_is_refused(platform, origin):
    assert_problem(platform.call("echo", 1, ("origin", origin)), 401, "unauthorized")


def test_a_page_of_this_site_is_accepted(platform):
    assert platform.call("echo", 1, ("origin", "http://127.0.0.1")).status == 200
