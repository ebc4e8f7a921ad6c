"""How the results of generators go out, one by one, on every platform."""

import base64
import contextlib
import json
import socket

import msgpack
import pytest

from skerry.payload import MSGPACK
from support.engine_process import wait_until
from support.raw_http import request

APP = "streams.py"
NDJSON = "application/x-ndjson"
EVENTS = ("accept", "text/event-stream")
VALUES = ("accept", MSGPACK)
ERROR_EXTENSION = 2

both = pytest.mark.parametrize("kind", ["", "_async"], ids=["plain", "async"])


def stream(platform, function, body, *headers):
    """Call a generator; return what it says before the first piece, and all pieces as one."""
    with platform.start_call(function, body, *headers) as client:
        head = client.read_answer(head_only=True)
        return head, b"".join(client.read_chunks())


def begin(platform, function, body, *headers):
    """Call a generator; return the connection, whose answer has begun."""
    client = platform.start_call(function, body, *headers)
    head = client.read_answer(head_only=True)
    if head.status != 200:
        client.socket.close()
        raise AssertionError(head)
    return client


def begin_within(platform, function, body):
    """Call a generator that is to be ended by the caller's deadline; return the connection, whose answer has begun."""
    for within_ms in (300, 3_000):  # on a busy machine an answer may begin later than that
        with contextlib.suppress(AssertionError):
            return begin(platform, function, body, ("skerry-timeout-ms", str(within_ms)))
    return begin(platform, function, body, ("skerry-timeout-ms", "20000"))


def old_request(function, body):
    body = json.dumps(body).encode()
    return b"POST /function/%s HTTP/1.0\r\ncontent-length: %d\r\n\r\n%s" % (function.encode(), len(body), body)


def assert_hides_the_reason(platform, function, problem):
    assert (problem["status"], problem["code"]) == (500, "handler_failed")
    assert "swordfish" not in json.dumps(problem)
    platform.wait_for_log(function, problem["error_id"], "swordfish")


# Forms


@both
def test_items_go_out_as_lines_of_json(platform, kind):
    head, body = stream(platform, f"count{kind}", 3)
    assert (head.status, head.headers["content-type"]) == (200, NDJSON)
    assert head.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in head.headers
    assert body == b"0\n1\n2\n"


def test_line_ends_in_items_do_not_break_lines(platform):
    _, body = stream(platform, "texts", 2)
    assert [json.loads(line) for line in body.splitlines()] == [{"text": "ü\n0"}, {"text": "ü\n1"}]
    _, body = stream(platform, "texts", 2, EVENTS)
    assert body.count(b"\n") == 4


@both
def test_items_go_out_as_events(platform, kind):
    head, body = stream(platform, f"count{kind}", 3, EVENTS)
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


@both
def test_items_go_out_as_messagepack(platform, kind):
    head, body = stream(platform, f"count{kind}", 3, VALUES)
    assert (head.status, head.headers["content-type"]) == (200, MSGPACK)
    unpacker = msgpack.Unpacker()
    unpacker.feed(body)
    assert list(unpacker) == [0, 1, 2]


def test_bytes_go_out_as_they_are(platform):
    head, body = stream(platform, "blobs", 3)
    assert (head.status, head.headers["content-type"]) == (200, "application/octet-stream")
    assert body == b"".join(bytes([number, 10, 13]) * 100 for number in range(3))


def test_bytes_go_out_as_json_lines_where_these_are_asked_for(platform):
    head, body = stream(platform, "blobs", 2, ("accept", "application/x-ndjson, text/event-stream;q=0.5"))
    assert (head.status, head.headers["content-type"]) == (200, "application/x-ndjson")
    lines = [base64.urlsafe_b64decode(json.loads(line)) for line in body.splitlines()]
    assert lines == [bytes([number, 10, 13]) * 100 for number in range(2)]


@both
def test_a_stream_without_items_is_empty_and_whole(platform, kind):
    head, body = stream(platform, f"count{kind}", 0)
    assert (head.status, body) == (200, b"")


def test_a_long_stream_arrives_in_order_and_whole(platform):
    _, body = stream(platform, "count", 50_000)
    assert body == b"".join(b"%d\n" % number for number in range(50_000))


@both
def test_the_first_item_arrives_before_the_second_is_made(platform, kind):
    name = f"first{kind}"
    with begin(platform, f"gated{kind}", name) as client:
        first = client.read_chunk()
        assert platform.notes(f"{name}-closed") == 0
        platform.release(name)
        rest = b"".join(client.read_chunks())
    assert (int(first) > 0, rest) == (True, b"2\n")


def test_pieces_of_any_size_arrive(platform):
    sizes = [1, 0, 2**18 - 1, 2**18, 2**18 + 1, 3 * 2**20, 1]  # around what may be on its way at a time
    _, body = stream(platform, "large", sizes)
    assert len(body) == sum(sizes)


def test_streams_that_run_at_the_same_time_do_not_mix(platform):
    clients = [begin(platform, "gated_async", f"mixed-{number}") for number in range(2)]
    others = [platform.start_call("count_async", 1000 + number) for number in range(4)]
    for number, client in enumerate(others):
        assert client.read_answer(head_only=True).status == 200
        assert b"".join(client.read_chunks()).split() == [b"%d" % n for n in range(1000 + number)]
    for number in (1, 0):
        platform.release(f"mixed-{number}")
        assert b"".join(clients[number].read_chunks()).endswith(b"2\n")
    for client in (*clients, *others):
        client.socket.close()


# The connection


@both
def test_a_client_of_http_1_0_reads_to_the_end_of_the_connection(platform, kind):
    with platform.connect() as client:
        client.send(old_request(f"count{kind}", 3))
        head = client.read_answer(head_only=True)
        assert head.status == 200
        assert "transfer-encoding" not in head.headers
        assert client.read_to_end() == b"0\n1\n2\n"


def test_requests_behind_a_stream_are_answered_after_it_in_their_order(platform):
    with platform.connect() as client:
        client.send(
            request("/function/gated", "pipelined")
            + request("/function/count", 2)
            + request("/function/count", "no number")
            + request("/function/count", 1, [EVENTS])
        )
        assert client.read_answer(head_only=True).status == 200
        client.read_chunk()
        platform.release("pipelined")
        assert client.read_chunks() == [b"2\n"]
        assert client.read_answer(head_only=True).headers["content-type"] == NDJSON
        assert b"".join(client.read_chunks()) == b"0\n1\n"
        assert client.read_answer().status == 422
        assert client.read_answer(head_only=True).headers["content-type"] == EVENTS[1]
        assert client.read_chunks() == [b"data: 0\n\n"]


# Errors


@both
@pytest.mark.parametrize("accept", [("accept", "*/*"), EVENTS, VALUES], ids=["json", "events", "messagepack"])
def test_an_error_before_the_first_item_is_an_answer_like_others(platform, kind, accept):
    with platform.connect() as client:
        answer = client.call(f"/function/breaks{kind}", 0, [accept])
        assert answer.headers["content-type"] == "application/problem+json"
        assert_hides_the_reason(platform, f"breaks{kind}", answer.json())
        answer = client.call(f"/function/breaks{kind}", "no number", [accept])
        assert (answer.status, answer.code) == (422, "invalid_payload")
        assert client.call("/function/breaks", b"{", [accept]).status == 400


@both
def test_an_error_in_the_middle_of_events_is_an_event(platform, kind):
    with begin(platform, f"breaks{kind}", 2, EVENTS) as client:
        *items, error, end = b"".join(client.read_chunks()).split(b"\n\n")
        assert (items, end) == ([b"data: 0", b"data: 1"], b"")
        name, data = error.split(b"\n")
        assert name == b"event: error"
        assert_hides_the_reason(platform, f"breaks{kind}", json.loads(data.removeprefix(b"data: ")))
        assert client.call("/function/count", "no number").status == 422  # the connection goes on


@both
def test_an_error_in_the_middle_of_messagepack_is_a_value_of_its_own_type(platform, kind):
    with begin(platform, f"breaks{kind}", 2, VALUES) as client:
        unpacker = msgpack.Unpacker()
        unpacker.feed(b"".join(client.read_chunks()))
        first, second, error = unpacker
        assert (first, second) == (0, 1)
        assert error.code == ERROR_EXTENSION
        assert_hides_the_reason(platform, f"breaks{kind}", json.loads(error.data))
        assert client.call("/function/count", "no number").status == 422


@both
def test_an_error_in_the_middle_of_lines_cuts_the_connection(platform, kind):
    with begin(platform, f"breaks{kind}", 2) as client:
        assert [client.read_chunk(), client.read_chunk()] == [b"0\n", b"1\n"]
        with pytest.raises(EOFError):
            client.read_chunk()


def test_an_error_in_the_middle_resets_the_connection_where_its_end_would_look_like_that_of_the_stream(platform):
    with platform.connect() as client:
        client.send(old_request("breaks", 2))
        assert client.read_answer(head_only=True).status == 200
        with pytest.raises(ConnectionResetError):
            client.read_to_end()


@both
@pytest.mark.parametrize("accept", [("accept", "*/*"), EVENTS], ids=["json", "events"])
def test_the_death_of_the_worker_in_the_middle_does_not_look_like_the_end(platform, kind, accept):
    name = f"died{kind}-{len(accept[1])}"
    with begin(platform, f"gated{kind}", name, accept) as client:
        platform.kill(int(client.read_chunk().split()[-1]))
        with pytest.raises(EOFError):
            client.read_chunks()
    platform.release(name)
    assert stream(platform, f"gated{kind}", name)[1].endswith(b"2\n")


def test_an_item_that_cannot_be_sent_ends_the_stream_with_an_error(platform):
    with begin(platform, "unsendable", b"", EVENTS) as client:
        first, error, _ = b"".join(client.read_chunks()).split(b"\n\n")
        assert first == b"data: 1"
        problem = json.loads(error.removeprefix(b"event: error\ndata: "))
        platform.wait_for_log("unsendable", problem["error_id"])


def test_a_handler_that_returns_no_iterator_is_500(platform):
    answer = platform.call("no_iterator", b"")
    assert (answer.status, answer.code) == (500, "handler_failed")
    platform.wait_for_log("no_iterator", "iterator")


@both
def test_a_deadline_ends_a_stream_and_closes_its_generator(platform, kind):
    name = f"deadline{kind}"
    platform.release("open")
    stream(platform, f"gated{kind}", "open")  # a worker is there
    with begin_within(platform, f"gated{kind}", name) as client:
        pid = client.read_chunk()
        with pytest.raises(EOFError):
            client.read_chunks()
    platform.wait_for_notes(f"{name}-closed")
    platform.release(name)
    assert stream(platform, f"gated{kind}", name)[1].startswith(pid)


def test_a_stream_over_its_functions_timeout_is_cut_and_the_next_request_is_fine(platform):
    functions = ("late", "late_async")
    for function in functions:
        platform.wait_for_worker(function)
        assert stream(platform, function, 0.0)[1] == b"1\n2\n"
    with contextlib.ExitStack() as stack:
        for client in [stack.enter_context(begin(platform, function, 60.0)) for function in functions]:  # at once
            assert client.read_chunk() == b"1\n"
            with pytest.raises(EOFError):
                client.read_chunks()
    for function in functions:
        platform.wait_for_worker(function)
        assert stream(platform, function, 0.0)[1] == b"1\n2\n"


# Callers who are slow, and callers who leave

MOST_HELD_BYTES = 32 * 2**20  # in the sockets' buffers, the front and the worker; all that is poured is twice as much
PIECE_BYTES = 2**16
PIECES = 1024
RECEIVE_LITTLE = (socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)


@both
def test_a_caller_who_does_not_read_holds_the_generator_up(platform, kind):
    name = f"slow{kind}"
    with platform.connect() as client:
        client.socket.setsockopt(*RECEIVE_LITTLE)
        client.send(request(f"/function/pour{kind}", {"name": name, "pieces": PIECES}))
        platform.wait_for_notes(name)
        assert platform.settled(name) * PIECE_BYTES <= MOST_HELD_BYTES
        assert stream(platform, "count", 3)[1] == b"0\n1\n2\n"  # others are served meanwhile
        assert client.read_answer(head_only=True).status == 200
        assert sum(len(chunk) for chunk in client.read_chunks()) == PIECES * PIECE_BYTES
    assert platform.notes(name) == PIECES
    assert platform.notes(f"{name}-closed") == 1


@both
@pytest.mark.parametrize("reads", [True, False], ids=["reading", "clogged"])
def test_a_caller_who_leaves_closes_the_generator_and_frees_its_place(platform, kind, reads):
    function, name = f"pour{kind}", f"left{kind}-{reads}"
    client = platform.connect()
    client.socket.setsockopt(*RECEIVE_LITTLE)
    client.send(request(f"/function/{function}", {"name": name, "pieces": 1_000_000}))
    assert client.read_answer(head_only=True).status == 200
    if reads:
        assert client.read_chunk() == bytes(PIECE_BYTES)
    else:
        platform.settled(name)
    client.socket.close()
    platform.wait_for_notes(f"{name}-closed")
    platform.wait_until_idle(function)
    _, body = stream(platform, function, {"name": f"{name}-after", "pieces": 3})
    assert len(body) == 3 * PIECE_BYTES
    assert platform.lines(f"{name}-after-closed") == platform.lines(f"{name}-closed")  # the same worker


@both
def test_a_caller_who_leaves_interrupts_a_generator_that_waits(platform, kind):
    name = f"interrupted{kind}"
    client = begin(platform, f"gated{kind}", name)
    pid = int(client.read_chunk())
    platform.wait_for_notes(f"{name}-waits")
    client.socket.close()
    platform.wait_for_notes(f"{name}-closed")
    platform.wait_until_idle(f"gated{kind}")
    platform.release(name)
    _, body = stream(platform, f"gated{kind}", name)
    assert int(body.split()[0]) == pid


def test_what_stands_behind_a_stream_whose_caller_left_is_not_run(platform):
    with platform.connect() as client:
        client.send(b"".join(request("/function/gated", f"behind-{number}") for number in range(3)))
        assert client.read_answer(head_only=True).status == 200
        platform.wait_for_notes("behind-0-waits")
        platform.wait_for_queue("gated", 2)
    platform.wait_for_notes("behind-0-closed")
    platform.wait_until_idle("gated")
    assert [platform.notes(f"behind-{number}-runs") for number in range(3)] == [1, 0, 0]


def test_a_stream_that_waits_for_a_worker_and_whose_caller_leaves_is_not_run(platform):
    with begin(platform, "gated", "queued-gate") as running:
        waiting = platform.start_call("gated", "queued-left")
        platform.wait_for_queue("gated", 1)
        waiting.socket.close()
        platform.wait_for_queue("gated", 0)
        platform.release("queued-gate")
        running.read_chunks()
    wait_until(lambda: platform.metric("kn_revision_request_active", "gated") == 0)
    assert platform.notes("queued-left-runs") == 0
