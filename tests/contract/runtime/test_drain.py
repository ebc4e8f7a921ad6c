"""SIGTERM under load: nothing that was accepted is lost, on every platform."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from support.engine_process import wait_until
from support.raw_http import request

APP = "waiting.py"
CROWD = 100
SIGNAL_S = 60.0  # a kubelet sends it some time after the pod was deleted
ANSWER_BYTES = 1_000_000
WINDOW_BYTES = 32_768
PIECE_BYTES = 512
LONG_S = 3.0  # longer than what has ended leaves anything behind


def accepts(platform):
    try:
        platform.connect().socket.close()
    except OSError:  # refused, or gone with its address
        return False
    return True


def is_pending(pid, number):
    """Whether a signal waits for a process that is stopped."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in lines if line.startswith("ShdPnd:"))


def is_stopped(pid):
    """Whether all threads of a process have stopped: a signal sent before that may still be taken."""
    states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return set(states) == {"T"}


def test_everything_that_was_accepted_is_answered_before_the_end(own_platform):
    platform = own_platform
    assert platform.call("counted", "x").status == 200
    stream = platform.start_call("tell", "term")
    assert stream.read_answer(head_only=True).status == 200
    assert stream.read_chunk() == b'"first"\n'
    running = platform.start_call("hold", "term")
    platform.wait_for_notes("term-runs", 2)
    queued = [platform.start_call("hold", "term") for _ in range(20)]
    pipelined = platform.connect()
    pipelined.send(request("/function/hold", "term") * 5)
    platform.wait_for_queue("hold", 25)
    behind = platform.start_call("tell", "term")  # a stream that has not begun
    platform.wait_for_queue("tell", 1)
    late = [platform.connect() for _ in range(CROWD)]  # they ask when the end has begun
    for client in late:
        client.send(request("/health/readiness", b"", method="GET"))
        client.read_answer()

    platform.place.terminate()
    wait_until(lambda: not accepts(platform), what="a closed door")
    asking = iter(late)

    def ask(target, body=b"", **rest):
        client = next(asking)
        client.send(request(target, body, **rest))
        answer = client.read_answer()
        return None if answer.status == 200 else (client, answer)

    # What comes while the door is being closed is served.
    last = [
        wait_until(lambda: ask("/health/readiness", method="GET"), what="no readiness"),
        wait_until(lambda: ask("/function/counted", "x"), what="a refusal"),
    ]
    for client, answer in last:
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert client.read_to_end() == b""  # and is not reset
    refused = last[1][1]
    assert refused.code == "unavailable"
    assert int(refused.headers["retry-after"]) >= 1
    platform.release("term")

    assert stream.read_chunks() == [b'"last"\n']
    assert [client.read_answer().status for client in (running, *queued)] == [200] * 21
    assert [pipelined.read_answer().status for _ in range(5)] == [200] * 5
    assert behind.read_answer(head_only=True).status == 200
    assert b"".join(behind.read_chunks()) == b'"first"\n"last"\n'
    assert platform.place.wait() == 0
    for client in (stream, running, *queued, pipelined, behind, *late):
        assert client.is_closed()
        client.socket.close()
    assert platform.notes("term-runs") == 1 + 1 + 20 + 5 + 1


def test_requests_that_arrive_with_the_signal_are_answered(own_platform):
    platform = own_platform
    assert platform.call("counted", "x").status == 200
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(platform.connect()) for _ in range(CROWD)]
        for client in waiting:  # these have been accepted
            client.send(request("/health/liveness", b"", method="GET"))
            assert client.read_answer().status == 200
        os.kill(platform.place.pid, signal.SIGSTOP)  # what comes now is seen all at once
        wait_until(lambda: is_stopped(platform.place.pid), within_s=SIGNAL_S, what="the stop")
        # Over TLS, a connection comes about only with a server that runs.
        new = [stack.enter_context(platform.connect()) for _ in range(0 if platform.place.public else CROWD)]
        for number, client in enumerate((*waiting, *new)):
            client.send(request("/function/counted", str(number)))
        platform.place.terminate()
        wait_until(lambda: is_pending(platform.place.pid, signal.SIGTERM), within_s=SIGNAL_S, what="the signal")
        os.kill(platform.place.pid, signal.SIGCONT)
        answers = [client.read_answer() for client in (*waiting, *new)]
    assert {answer.status for answer in answers} <= {200, 503}
    assert all(answer.json() == str(number) for number, answer in enumerate(answers) if answer.status == 200)
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status == 503)
    assert platform.place.wait() == 0


def test_an_answer_that_is_taken_slowly_arrives_whole(own_platform):
    platform = own_platform
    with platform.connect() as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
        client.send(request("/function/large", ANSWER_BYTES))
        head = client.read_answer(head_only=True)
        assert head.status == 200
        platform.place.terminate()
        body, until = client.take(0), time.monotonic() + LONG_S
        while time.monotonic() < until:
            body += client.take(PIECE_BYTES)
            time.sleep(0.02)  # it is as slow as that
        body += client.read_to_end()
    assert len(body) == int(head.headers["content-length"])
    assert platform.place.wait() == 0
