"""Callers who leave: their work ends, the worker lives, and nobody else notices, on every platform."""

import pytest

APP = "waiting.py"
holders = pytest.mark.parametrize("function", ["hold", "hold_async"])
endings = pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])


def leave(client, *, rudely):
    if rudely:
        client.reset()
    else:
        client.socket.close()


def pid_of(platform, function):
    platform.release("pid")
    return platform.call(function, "pid").json()


@holders
@endings
def test_the_handler_of_a_caller_who_left_is_interrupted_and_its_worker_lives(platform, function, rudely):
    name = f"{function}-{rudely}"
    before = pid_of(platform, function)
    left = platform.metric("skerry_requests_total", function, http_response_status_code="499")
    client = platform.start_call(function, name)
    platform.wait_for_notes(f"{name}-runs")
    leave(client, rudely=rudely)
    platform.wait_for_notes(f"{name}-ended")
    platform.wait_until_idle(function)
    assert pid_of(platform, function) == before
    assert platform.metric("skerry_requests_total", function, http_response_status_code="499") == left + 1


@holders
def test_requests_behind_one_whose_caller_left_are_served(platform, function):
    name = f"behind-{function}"
    leaving = [platform.start_call(function, f"{name}-left") for _ in range(2)]
    platform.wait_for_notes(f"{name}-left-runs", 1 if function == "hold" else 2)
    waiting = [platform.start_call(function, name) for _ in range(3)]
    for client in leaving:
        client.socket.close()
    platform.release(name)
    assert [client.read_answer().status for client in waiting] == [200] * 3
    for client in waiting:
        client.socket.close()
    platform.wait_until_idle(function)


def test_a_call_beside_one_whose_caller_left_goes_on(platform):
    leaving = platform.start_call("hold_async", "beside-left")
    staying = platform.start_call("hold_async", "beside")
    platform.wait_for_notes("beside-left-runs")
    platform.wait_for_notes("beside-runs")
    leaving.socket.close()
    platform.wait_for_notes("beside-left-ended")
    assert platform.notes("beside-ended") == 0
    platform.release("beside")
    assert staying.read_answer().status == 200
    staying.socket.close()


def test_other_functions_do_not_notice(platform):
    other = platform.start_call("other", "other")
    platform.wait_for_notes("other-runs")
    leaving = platform.start_call("hold", "noticed")
    platform.wait_for_notes("noticed-runs")
    leaving.socket.close()
    platform.wait_for_notes("noticed-ended")
    platform.release("other")
    assert other.read_answer().status == 200
    other.socket.close()


def test_many_callers_who_leave_at_once_leave_nothing_behind(platform):
    before = pid_of(platform, "hold")
    running = platform.start_call("hold", "crowd")
    platform.wait_for_notes("crowd-runs")
    waiting = [platform.start_call("hold", "crowd") for _ in range(50)]
    platform.wait_for_queue("hold", 50)
    for client in waiting:
        client.reset()
    platform.wait_for_queue("hold", 0)
    running.reset()
    platform.wait_until_idle("hold")
    assert pid_of(platform, "hold") == before
    assert platform.notes("crowd-runs") == platform.notes("crowd-ended") == 1  # the others were never begun
