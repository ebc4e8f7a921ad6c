"""The forms in which a request may come over the wire, on every platform."""

import json

import pytest

from support.raw_http import request

APP = "forms.py"
HEAD = b"POST /function/add HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"a": 41}'


def chunked(body, size):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_body_in_chunks(platform, size):
    with platform.connect() as client:
        client.send(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunked(BODY, size))
        assert client.read_answer().json() == 42
        assert client.call("/function/add", {"a": 1}).json() == 2


def test_a_body_in_chunks_that_is_too_large_is_413(platform):
    with platform.connect() as client:
        head = b"POST /function/echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        client.send(head + chunked(b"x" * (64 * 1024 + 1), 8192)[:-5])  # without the end
        answer = client.read_answer()
        assert (answer.status, answer.code) == (413, "body_too_large")


def test_a_request_byte_by_byte(platform):
    whole = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    with platform.connect() as client:
        for at in range(len(whole)):
            client.send(whole[at : at + 1])
        assert client.read_answer().json() == 42


@pytest.mark.parametrize("mebibytes", [1, 9])
def test_a_large_body_goes_in_and_out_whole(platform, mebibytes):
    text = "".join(chr(97 + number % 26) for number in range(1009)) * (mebibytes * 2**20 // 1009)
    answer = platform.call("reverse", json.dumps(text).encode())
    assert answer.status == 200
    assert answer.json() == text[::-1]


def test_a_client_that_waits_to_be_asked_for_the_body_is_asked(platform):
    with platform.connect() as client:
        client.send(HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        assert client.read_answer().status == 100
        client.send(BODY)
        assert client.read_answer().json() == 42


@pytest.mark.parametrize(
    "head",
    [b"POST /function/add HTTP/1.0\r\n", b"POST /function/add HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"],
    ids=["http 1.0", "close"],
)
def test_a_connection_is_closed_where_the_client_expects_it(platform, head):
    with platform.connect() as client:
        client.send(head + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
        assert client.read_answer().json() == 42
        assert client.is_closed()


def test_answers_of_all_kinds_come_in_the_order_of_their_requests(platform):
    expected = []
    with platform.connect() as client:
        for number in range(20):
            client.send(request("/function/add", {"a": number}))
            client.send(request("/function/add", b"{"))
            client.send(request("/function/nothing", 1))
            client.send(request("/health/liveness", b"", method="GET"))
            client.send(request("/function/fail", "x"))
            expected += [200, 400, 404, 200, 500]
        answers = [client.read_answer() for _ in expected]
    assert [answer.status for answer in answers] == expected
    assert [answer.json() for answer in answers[::5]] == list(range(1, 21))


def test_the_rest_of_a_body_is_read_behind_more_requests_than_may_wait(platform):
    with platform.connect() as client:
        half = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY[:3]
        client.send(b"".join(request("/function/add", {"a": number}) for number in range(200)) + half)
        assert [client.read_answer().json() for _ in range(200)] == list(range(1, 201))
        client.send(BODY[3:])
        assert client.read_answer().json() == 42


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json, text/event-stream", "text/html", "*/*"])
def test_a_function_that_is_no_stream_answers_json_whatever_else_is_accepted(platform, accept):
    answer = platform.call("add", {"a": 1}, ("accept", accept))
    assert (answer.status, answer.headers["content-type"], answer.json()) == (200, "application/json", 2)
