import os
import socket
import threading
import time

import pytest

from skerry.runtime.frames import Kind, encode_frame
from skerry.runtime.inbox import SPIN_NS, Inbox
from skerry.runtime.interruption import CANCELLED_WORD, PROGRESS_WORD

ALWAYS_READABLE = os.open(os.devnull, os.O_RDONLY)


class Link:
    """Has something to read at every second look without waiting, and always with waiting."""

    def __init__(self):
        self.looks = []

    def fileno(self):
        return ALWAYS_READABLE

    def recv(self, _, flags=0):
        self.looks.append(bool(flags))
        if flags and len(self.looks) % 2:
            raise BlockingIOError
        return encode_frame(Kind.CALL, 1)


@pytest.fixture
def words():
    return memoryview(bytearray(64)).cast("I")


def test_calls_that_come_soon_are_looked_for_and_others_waited_for(words):
    link = Link()
    inbox = Inbox(link, words)
    inbox.take()
    assert link.looks == [False]  # nothing is known yet
    for _ in range(20):
        inbox.sent_ns = time.monotonic_ns()  # answered just now
        inbox.take()
    assert any(link.looks[-10:])  # not each, where the test itself has to wait for a processor
    for _ in range(6):
        inbox.sent_ns = time.monotonic_ns() - 20 * SPIN_NS
        inbox.take()
    assert not link.looks[-1]


def calls(count):
    return [encode_frame(Kind.CALL, number) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("came", "looks"),
    [
        (calls(1), True),
        (calls(4), True),
        (calls(5), False),
        ([encode_frame(Kind.BATCH, 4), *calls(4)], True),
        ([encode_frame(Kind.BATCH, 5), *calls(5)], False),
    ],
    ids=["one call", "four calls", "five calls", "a group of four", "a group of five"],
)
def test_the_next_call_is_looked_for_only_after_few(words, came, looks):
    class Several(Link):
        def recv(self, _, flags=0):
            self.looks.append(bool(flags))
            return b"".join(came)

    link = Several()
    inbox = Inbox(link, words)
    for _ in range(20):
        inbox._gap_ns = 0  # however slow this machine is
        inbox.sent_ns = time.monotonic_ns()
        inbox.take()
    assert link.looks == [True, *[looks] * 19]


def test_a_look_ends_after_its_time(words):
    class Silent(Link):
        def recv(self, _, flags=0):
            self.looks.append(bool(flags))
            if flags:
                raise BlockingIOError
            return encode_frame(Kind.CALL, 1)

    link = Silent()
    inbox = Inbox(link, words)
    inbox._gap_ns = 0
    inbox.sent_ns = time.monotonic_ns()
    inbox.take()
    assert link.looks[0]
    assert not link.looks[-1]


def test_what_was_kept_comes_before_what_is_read(words):
    inbox = Inbox(Link(), words)
    inbox.keep(["a"], 5)
    inbox.keep([], 6)
    assert (inbox.take(), inbox.received_ns) == (["a"], 5)
    assert inbox.take()[0].number == 1


def test_the_cancelled_are_found_wherever_they_lie_and_forgotten_once_begun(words):
    front, link = socket.socketpair()
    inbox = Inbox(link, words)
    front.sendall(b"".join(encode_frame(Kind.CALL, n) for n in (1, 2, 3)) + encode_frame(Kind.CANCEL, 2))
    frames = inbox.take()
    assert inbox.cancelled(frames) == set()
    words[CANCELLED_WORD] = 3
    front.sendall(encode_frame(Kind.CANCEL, 3) + encode_frame(Kind.CANCEL, 1))
    assert inbox.cancelled(frames) == {1, 2, 3}
    words[PROGRESS_WORD] = 2
    assert inbox.cancelled(frames) == {3}
    words[PROGRESS_WORD] = 3
    assert inbox.cancelled(frames) == set()
    front.close()
    link.close()


def test_the_end_of_the_front_is_the_end(words):
    front, link = socket.socketpair()
    front.close()
    assert Inbox(link, words).take() is None
    link.close()


@pytest.mark.parametrize("comes", ["nothing", "calls"])
def test_half_a_minute_after_a_large_body_memory_is_returned_once(words, monkeypatch, comes):
    returned = []
    monkeypatch.setattr("skerry.runtime.inbox._RETURN_NS", 20_000_000)
    monkeypatch.setattr("skerry.runtime.inbox.return_memory", lambda: returned.append(time.monotonic()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        inbox = Inbox(theirs, words)
        small, large = encode_frame(Kind.CALL, 1, b"1"), encode_frame(Kind.CALL, 2, b"2" * 100_000)

        def take(frame):
            """Have a frame sent, and read until it is whole."""
            sender = threading.Thread(target=ours.sendall, args=(frame,))
            sender.start()
            while not (frames := inbox.take()):
                assert frames is not None
            sender.join()
            return frames

        take(small)
        assert returned == []
        began_s = time.monotonic()
        assert take(large)[0].number == 2
        if comes == "calls":
            while not returned and time.monotonic() < began_s + 10:
                take(small)
        else:  # it returns while it waits
            timer = threading.Timer(0.2, ours.sendall, args=(small,))
            timer.start()
            assert inbox.take()[0].number == 1
            timer.join()
        assert len(returned) == 1
        assert returned[0] - began_s >= 0.02

        take(small)
        assert len(returned) == 1
