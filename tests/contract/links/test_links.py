"""What every means of emulation promises, asked of those that this machine has."""

import socket
import threading
import time

import pytest

from skerry.errors import PlatformError, SpecError
from skerry.testbed.links import Conditions, LinkConditions

DEADLINE_S = 30.0


def test_bytes_arrive_as_they_were_sent(harness):
    harness.up(Conditions(delay_ms=2, jitter_ms=0.5))
    near, far = harness.connect()
    sent = bytes(range(256)) * 2000
    answers = echo_all(far)

    near.sendall(sent)
    near.shutdown(socket.SHUT_WR)

    assert read_all(near) == sent
    answers.join(DEADLINE_S)


def test_a_round_trip_takes_the_delay_of_both_directions(harness):
    harness.up(LinkConditions(forward=Conditions(delay_ms=30), backward=Conditions(delay_ms=10)))
    near, far = harness.connect()
    echo_all(far)

    end_s = time.monotonic() + DEADLINE_S
    times_s = [round_trip_s(near) for _ in range(5)]
    while min(times_s) > 0.048 and time.monotonic() < end_s:  # others have kept the processors so far
        times_s.append(round_trip_s(near))

    assert min(times_s) == pytest.approx(0.040, rel=0.2)


def test_a_rate_takes_its_time(harness):
    link = harness.up(Conditions(rate_mbps=8))
    near, far = harness.connect()
    answers = echo_all(far)
    link.change("backward", {"rate_mbps": 1000})

    began_s = time.monotonic()
    near.sendall(bytes(1_000_000))
    near.shutdown(socket.SHUT_WR)
    received = len(read_all(near))

    assert received == 1_000_000
    assert time.monotonic() - began_s >= 0.9
    answers.join(DEADLINE_S)


def test_a_running_link_can_be_changed(harness):
    link = harness.up(Conditions(delay_ms=1))
    near, far = harness.connect()
    echo_all(far)
    quick_s = min(round_trip_s(near) for _ in range(5))

    link.change_both({"delay_ms": 50})

    assert min(round_trip_s(near) for _ in range(3)) >= 0.095
    assert quick_s < 0.095
    assert link.report().conditions["forward"]["delay_ms"] == 50
    # What the link was made with stays what it was made with.
    assert link.conditions.forward.delay_ms == 1


def test_a_cut_stops_everything_and_ends(harness):
    link = harness.up(Conditions(delay_ms=1))
    near, far = harness.connect()
    echo_all(far)
    round_trip_s(near)

    link.change_both({"loss_ratio": 1.0})
    near.settimeout(0.5)
    near.sendall(b"lost at first")
    with pytest.raises(TimeoutError):
        near.recv(100)
    link.change_both({"loss_ratio": 0.0})

    near.settimeout(DEADLINE_S)
    assert near.recv(100) == b"lost at first"


def test_a_schedule_changes_the_link(harness):
    rows = [{"at_s": 0.2, "delay_ms": 40}]
    link = harness.up(Conditions(delay_ms=1), schedule=rows)
    near, far = harness.connect()
    echo_all(far)

    wait_until(lambda: link.report().conditions["forward"].get("delay_ms") == 40)

    assert round_trip_s(near) >= 0.038
    link.hold_schedule()
    assert link.report().conditions["forward"] == {"delay_ms": 1}
    link.restart_schedule()
    wait_until(lambda: link.report().conditions["forward"].get("delay_ms") == 40)


def test_conditions_that_do_not_exist_are_refused(harness):
    link = harness.up(Conditions())

    with pytest.raises(SpecError, match="delay_s"):
        link.change("forward", {"delay_s": 1})
    with pytest.raises(SpecError, match="rate_mbps"):
        link.change("forward", {"rate_mbps": -1})

    assert link.report().conditions["forward"] == {}


def test_the_report_is_plain_data_and_counts(harness):
    link = harness.up(Conditions(delay_ms=1))
    near, far = harness.connect()
    echo_all(far)
    round_trip_s(near)

    report = link.report().to_dict()

    assert report["means"] == harness.means
    assert report["forward"]["packets"] > 0
    assert report["backward"]["bytes"] > 0
    assert report["forward"]["missed"] == 0


def test_nothing_is_left_of_a_link_that_is_down(harness):
    link = harness.up(Conditions(delay_ms=1))
    pid = link.pid

    link.down()
    link.down()

    assert not harness.is_there()
    assert not is_alive(pid)
    with pytest.raises(PlatformError):
        link.report()


def test_a_link_is_brought_down_by_another_object_too(harness):
    link = harness.up(Conditions(delay_ms=1))
    pid = link.pid
    link.release()

    harness.make(Conditions()).down()

    wait_until(lambda: not is_alive(pid))
    assert not harness.is_there()


def echo_all(connection):
    """Answer all that comes, in a thread of its own."""

    def answer():
        try:
            while data := connection.recv(1 << 16):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


def read_all(connection):
    pieces = []
    while piece := connection.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def round_trip_s(connection):
    began_s = time.monotonic()
    connection.sendall(b"ping")
    assert connection.recv(100) == b"ping"
    return time.monotonic() - began_s


def wait_until(is_so):
    ends_at = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends_at, "it did not come to be so"
        time.sleep(0.02)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
