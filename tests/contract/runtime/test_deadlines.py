"""Deadlines, priorities, and what handlers are told of their calls, on every platform."""

import time

import pytest

from support.engine_process import wait_until

APP = "waiting.py"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
PATIENCE_MS = (200, 2_000, 20_000)  # one after the other: on a busy machine a handler may begin later than the first
ROUNDING_S = 0.01  # deadlines travel as whole milliseconds
holders = pytest.mark.parametrize("function", ["hold", "hold_async"])


def within(milliseconds):
    return ("skerry-timeout-ms", str(milliseconds))


def start(platform, function, name, *headers):
    """Send a request whose handler waits, and wait until it runs."""
    client = platform.start_call(function, name, *headers)
    platform.wait_for_notes(f"{name}-runs")
    return client


def finish(platform, name, *clients):
    platform.release(name)
    answers = []
    for client in clients:
        answers.append(client.read_answer())
        client.socket.close()
    return answers


def pid_of(platform, function):
    """Return the worker that serves a function."""
    platform.release("pid")
    return platform.call(function, "pid").json()


# Deadlines


def test_a_request_whose_deadline_passes_in_the_queue_is_504_and_not_run(platform):
    running = start(platform, "hold", "queue-gate")
    answer = platform.call("hold", "too-late", within(50))
    assert (answer.status, answer.code) == (504, "deadline_exceeded")
    finish(platform, "queue-gate", running)
    pid_of(platform, "hold")  # it would have run before this
    assert platform.notes("too-late-runs") == 0


def test_a_whole_queue_whose_deadlines_have_passed_costs_nothing(platform):
    running = start(platform, "hold", "many-gate")
    clients = [platform.start_call("hold", f"late-{i}", within(20 + i)) for i in range(20)]
    answers = [client.read_answer() for client in clients]
    for client in clients:
        client.socket.close()
    assert [(answer.status, answer.code) for answer in answers] == [(504, "deadline_exceeded")] * 20
    assert platform.metric("kn_revision_request_queued", "hold") == 0
    finish(platform, "many-gate", running)
    assert [platform.notes(f"late-{i}-runs") for i in range(20)] == [0] * 20


@holders
def test_a_deadline_that_passes_while_the_handler_runs_interrupts_it(platform, function):
    before = pid_of(platform, function)
    for within_ms in PATIENCE_MS:
        name = f"interrupted-{function}-{within_ms}"
        began_s = time.monotonic()
        answer = platform.call(function, name, within(within_ms))
        assert within_ms / 1000 <= time.monotonic() - began_s < within_ms / 1000 + 4.8
        assert (answer.status, answer.code) == (504, "deadline_exceeded")
        if platform.notes(f"{name}-runs"):
            break
    platform.wait_for_notes(f"{name}-ended")
    assert pid_of(platform, function) == before
    platform.wait_until_idle(function)


@holders
def test_a_deadline_that_is_kept_changes_nothing(platform, function):
    name = f"kept-{function}"
    client = start(platform, function, name, within(30_000))
    (answer,) = finish(platform, name, client)
    assert answer.status == 200


@pytest.mark.parametrize("function", ["told", "told_async"])
def test_the_handler_knows_how_much_time_is_left(platform, function):
    assert platform.call(function, b"").json()["deadline_s"] is None
    began_s = time.monotonic()
    left_s = platform.call(function, b"", within(30_000)).json()["deadline_s"]
    assert 30 - (time.monotonic() - began_s) - ROUNDING_S < left_s <= 30


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("skerry-timeout-ms", "soon"),
        ("skerry-timeout-ms", "0"),
        ("skerry-timeout-ms", "-1"),
        ("skerry-timeout-ms", "nan"),
        ("skerry-timeout-ms", "1e12"),
        ("skerry-weight", "heavy"),
        ("skerry-weight", "-1"),
        ("skerry-weight", "inf"),
        ("skerry-group", "x" * 1000),
    ],
)
def test_a_header_that_cannot_be_read_is_400_and_the_message_names_it(platform, header, value):
    answer = platform.call("told", b"", (header, value))
    assert (answer.status, answer.code) == (400, "malformed_body")
    assert header in answer.json()["detail"]


@pytest.mark.parametrize("value", ["u=9", "u=x", "i", "", "sugar"])
def test_a_priority_that_the_standard_has_ignored_is_ignored(platform, value):
    assert platform.call("told", b"", ("priority", value)).status == 200


# Priorities


def test_urgent_requests_overtake_earlier_ones_and_equals_keep_their_order(platform):
    gate = platform.start_call("in_turn", "gate")
    platform.wait_for_notes("turns")
    clients = []
    for number, urgency in enumerate(["u=7", "u=7", None, "u=5", "u=0, i", "u=0", "u=3"]):
        headers = [("priority", urgency)] if urgency else []
        clients.append(platform.start_call("in_turn", str(number), *headers))
        platform.wait_for_queue("in_turn", number + 1)
    answers = finish(platform, "gate", gate, *clients)
    assert [answer.status for answer in answers] == [200] * 8
    assert platform.lines("turns") == ["gate", "4", "5", "2", "6", "3", "0", "1"]


# What handlers are told


@pytest.mark.parametrize("function", ["told", "told_async"])
def test_the_handler_sees_the_trace_of_its_caller(platform, function):
    found = platform.call(function, b"", ("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")).json()
    assert (found["traceparent"], found["tracestate"]) == (PARENT, "a=1,b=2")
    assert found["attempt"] == 1
    found = platform.call(function, b"").json()
    assert (found["traceparent"], found["tracestate"]) == (None, None)


def test_the_handler_knows_that_a_worker_was_lost_with_the_call(platform):
    found = platform.call("told_again", b"", ("traceparent", PARENT)).json()
    assert (found["attempt"], found["traceparent"]) == (2, PARENT)


# Concurrency


def test_no_more_calls_run_at_the_same_time_than_declared(platform):
    clients = [platform.start_call("three", "crowd") for _ in range(8)]
    platform.wait_for_notes("crowd-runs", 3)
    platform.wait_for_queue("three", 5)
    assert platform.metric("kn_revision_request_active", "three") == 3
    assert platform.notes("crowd-runs") == 3
    answers = finish(platform, "crowd", *clients)
    assert max(answer.json() for answer in answers) == 3
    wait_until(lambda: platform.notes("crowd-runs") == 8)


def test_no_more_calls_are_in_flight_than_the_function_allows(platform):
    clients = [platform.start_call("two", "flight") for _ in range(5)]
    platform.wait_for_notes("flight-runs", 2)
    platform.wait_for_queue("two", 3)
    assert platform.metric("kn_revision_request_active", "two") == 2
    assert platform.notes("flight-runs") == 2
    assert [answer.status for answer in finish(platform, "flight", *clients)] == [200] * 5
