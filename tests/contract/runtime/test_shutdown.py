"""What SIGTERM does, on every platform."""

from support.engine_process import wait_until

APP = "ending.py"


def test_on_sigterm_requests_in_flight_are_answered_and_functions_unloaded(own_platform):
    platform = own_platform
    assert platform.call("model", 1).status == 200
    assert platform.call("asyncmodel", 1).status == 200
    running = platform.start_call("slow", "term-gate")
    wait_until(lambda: platform.notes("term-gate-runs"))
    platform.place.terminate()
    wait_until(lambda: not _accepts(platform))
    platform.release("term-gate")
    answer = running.read_answer()
    assert (answer.status, answer.json()) == (200, "term-gate")
    assert platform.place.wait() == 0
    running.socket.close()
    assert platform.notes("unloaded") >= 1
    assert platform.notes("unloaded") == platform.notes("loaded")
    assert platform.notes("async-unloaded") >= 1


def test_what_handlers_have_started_ends_with_the_platform(own_platform):
    pid = own_platform.call("leave_program").json()
    assert own_platform.place.is_alive(pid)
    own_platform.place.terminate()
    assert own_platform.place.wait() == 0
    wait_until(lambda: not own_platform.place.is_alive(pid))


def _accepts(platform):
    try:
        platform.connect().socket.close()
    except OSError:  # refused, or gone with its address
        return False
    return True
