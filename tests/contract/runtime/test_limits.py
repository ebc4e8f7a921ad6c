"""What functions may use, and what becomes of those that use more, on every platform."""

import contextlib
import re
import select

import pytest

from support.engine_process import wait_until

APP = "limits.py"


def test_the_environment_says_who_the_worker_is(platform):
    found = platform.call("environment", ["K_SERVICE", "K_CONFIGURATION", "K_REVISION", "MY_OPTION"]).json()
    assert found["K_SERVICE"] == found["K_CONFIGURATION"] == "environment"
    assert found["K_REVISION"].startswith("environment-")
    assert found["MY_OPTION"] == "mine"


def test_health_is_told(platform):
    assert platform.send("GET", "/health/liveness").status == 200
    wait_until(lambda: platform.send("GET", "/health/readiness").status == 200)


def test_thread_pools_are_as_large_as_the_cpu_option_says(platform):
    found = platform.call("threads", b"").json()
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "SKERRY_THREADS"} <= set(found)
    assert set(found.values()) == {"2"}


def test_file_descriptors_are_limited(platform):
    assert platform.call("open_many", 20).json() == 20
    answer = platform.call("open_many", 100)
    assert (answer.status, answer.code) == (500, "handler_failed")
    platform.wait_for_log("open_many", "Too many open files")
    assert platform.call("open_many", 20).json() == 20


@pytest.mark.parametrize("kind", ["list", "array"])
def test_memory_is_limited_and_others_do_not_notice(platform, kind):
    assert platform.call("greedy", {"mib": 20, "kind": kind}).json() == 20
    answer = platform.call("greedy", {"mib": 1000, "kind": kind})
    assert (answer.status, answer.code) == (500, "memory_exceeded"), answer
    assert "200" in answer.json()["detail"]
    assert platform.call("echo", 1).json() == 1
    assert platform.call("greedy", {"mib": 20, "kind": kind}).json() == 20


def test_a_handler_over_its_timeout_is_504_and_the_next_request_is_fine(platform):
    functions = ("late", "late_async")

    def workers():
        for function in functions:
            platform.wait_for_worker(function)
            answer = platform.call(function, 0.0)
            assert answer.status == 200
            yield answer.json()

    plain, _ = workers()
    with contextlib.ExitStack() as stack:
        for client in [stack.enter_context(platform.start_call(function, 60.0)) for function in functions]:  # at once
            answer = client.read_answer()
            assert (answer.status, answer.code) == (504, "handler_timeout"), answer
    next_plain, _ = workers()
    assert next_plain != plain  # code that does not return is ended with its process
    assert_told_where(platform, "late", limit="4s")


def assert_told_where(platform, function, *, limit):
    """Check that a function's log says where its worker was when it was ended for its timeout."""
    log = platform.wait_for_log(function, f" in {function}\n", f"ran longer than its timeout of {limit}")
    assert re.search(rf'File ".*limits.py", line \d+ in {function}$', log, re.MULTILINE)
    assert re.search(rf"skerry: worker \d+: function '{function}' ran longer than its timeout of {limit}", log)


def test_a_handler_that_ends_its_process_is_502_and_the_next_request_is_served(platform):
    for _ in range(2):
        answer = platform.call("end")
        assert (answer.status, answer.code) == (502, "worker_lost")
        assert answer.json()["retryable"] is True
    assert platform.call("echo", 1).status == 200


@pytest.mark.parametrize(
    ("how", "said"),
    [("status", "exit status 3"), ("signal", "killed by SIGSEGV"), ("silence", "it closed its connection")],
)
def test_how_a_worker_has_ended_is_told_to_the_caller_and_in_the_log(platform, how, said):
    answer = platform.call("leave", how)
    assert (answer.status, answer.code) == (502, "worker_lost")
    assert f"died during the request ({said}; tried once)" in answer.json()["detail"]
    log = platform.wait_for_log("leave", f"of 'leave' died: {said}")
    assert re.search(rf"skerry: worker \d+ of 'leave' died: {said}", log)


def test_a_worker_that_is_killed_may_have_been_killed_for_want_of_memory(platform):
    assert "killed by SIGKILL, perhaps because the machine ran out of memory" in platform.call("end").json()["detail"]


def test_the_log_says_where_in_native_code_a_worker_was_that_was_ended_for_its_timeout(platform):
    platform.wait_for_worker("hang_in_c")
    answer = platform.call("hang_in_c", 10**15)
    assert (answer.status, answer.code) == (504, "handler_timeout"), answer
    assert_told_where(platform, "hang_in_c", limit="1500ms")


@pytest.mark.parametrize("level", ["info", "warning"])
def test_log_records_of_an_app_have_time_level_and_name(platform, level):
    assert platform.call("log", level).status == 200
    line = rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} {level.upper()} shop: said at {level}$"
    log = platform.wait_for_log("log", f"said at {level}\n")
    assert len(re.findall(line, log, re.MULTILINE)) == 1


def test_debug_records_of_an_app_are_left_out(platform):
    assert platform.call("log", "debug").status == 200
    assert platform.call("log", "error").status == 200
    assert "said at debug" not in platform.wait_for_log("log", "said at error\n")


def test_an_idempotent_request_is_run_again_once_when_its_worker_dies(platform):
    answer = platform.call("end_once", "ended-once")
    assert (answer.status, answer.json()) == (200, 2)
    answer = platform.call("end_always", "ended-always")
    assert (answer.status, answer.code) == (502, "worker_lost")
    assert platform.notes("ended-always") == 2


def test_random_numbers_differ_from_worker_to_worker(platform):
    first = platform.call("draw", b"").json()
    platform.kill(first["pid"])
    second = platform.call("draw", b"").json()
    while second["pid"] == first["pid"]:
        second = platform.call("draw", b"").json()
    assert first["numpy"] != second["numpy"]
    assert first["plain"] != second["plain"]


def test_a_full_queue_is_429_and_says_when_to_come_again(platform):
    running = platform.start_call("narrow", "gate")
    platform.wait_for_notes("gate-runs")
    clients = [platform.start_call("narrow", "gate") for _ in range(2)]
    # One of the two waits; whichever came second is turned away.
    [refused], _, _ = select.select([client.socket for client in clients], [], [], 20)
    answer = next(client for client in clients if client.socket is refused).read_answer()
    assert (answer.status, answer.code) == (429, "queue_full")
    assert int(answer.headers["retry-after"]) >= 1
    platform.release("gate")
    waited = next(client for client in clients if client.socket is not refused)
    assert running.read_answer().json() == waited.read_answer().json() == "gate"
    for client in (running, *clients):
        client.socket.close()


def test_what_a_caller_who_left_had_asked_for_is_not_run(platform):
    running = platform.start_call("slow", "left-gate")
    platform.wait_for_notes("left-gate-runs")
    leaving = platform.start_call("slow", "left-gate")
    leaving.socket.close()
    for _ in range(2):  # each answer ends a turn of the front's loop: by the second it has read that the caller left
        assert platform.send("GET", "/health/liveness").status == 200
    platform.release("left-gate")
    assert running.read_answer().status == 200
    running.socket.close()
    assert platform.call("slow", "left-gate").status == 200
    assert platform.notes("left-gate-runs") == 2


def test_programs_that_a_handler_starts_can_be_ended(platform):
    assert platform.call("spawn", b"").json() == -15
