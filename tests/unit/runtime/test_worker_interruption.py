"""Calls of plain code that are ended by the front's signal, at any moment of a call's life."""

import os
import random
import signal
import socket
import struct
import time
from collections.abc import Iterator

import orjson
import pytest

from skerry.runtime.frames import Kind, encode_frame
from skerry.runtime.interruption import CallCancelled
from skerry.runtime.progress import CANCELLED_AT
from support.worker_process import LAST, WorkerProcess

CANCELLATIONS = 3000


class Litter:
    """Has Python code run when it is collected, where an exception is swallowed."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        sum(range(5))


def work(kind: str) -> str:
    if kind == "litter":
        for _ in range(40):
            Litter()
    elif kind == "count":
        for _ in range(random.randrange(3000)):
            pass
    elif kind == "sleep":
        time.sleep(random.random() / 5000)  # so that the signal finds it asleep
    elif kind == "raise":
        raise ValueError(kind)
    elif kind == "clean":
        try:
            sum(range(200))
        finally:
            sum(range(200))
    elif kind == "swallow":
        try:
            sum(range(2000))
        except BaseException:  # what not to do, and what people do
            return kind
    return kind


KINDS = ["litter", "count", "sleep", "raise", "clean", "swallow", "nothing", "nothing"]


def many(kind: str) -> Iterator[str]:
    for _ in range(20):
        yield work(kind)


class Storm:
    """Gives a worker calls without end and cancels some of them at random moments, with the signal."""

    def __init__(self, worker, seed):
        self.worker = worker
        self.random = random.Random(seed)
        self.waiting = {}
        self.cancelled = set()
        self.answered = 0
        self.number = 0

    def run(self, cancellations):
        while len(self.cancelled) < cancellations:
            if len(self.waiting) < 8:
                self.give(self.random.randrange(1, 6))
            for _ in range(self.random.randrange(200)):
                pass  # so that the signal comes at any moment
            self.cancel()
            self.take(socket.MSG_DONTWAIT)
        while self.waiting:
            self.take()

    def give(self, count):
        frames = []
        for _ in range(count):
            self.number += 1
            self.waiting[self.number] = self.random.choice(KINDS)
            frames.append(encode_frame(Kind.CALL, self.number, orjson.dumps(self.waiting[self.number])))
        self.worker.send(*frames)

    def cancel(self):
        running = self.worker.running
        number = running if self.random.random() < 0.8 else self.random.choice(list(self.waiting) or [running])
        if number not in self.cancelled:
            self.cancelled.add(number)
            struct.pack_into("<I", self.worker.page, CANCELLED_AT, number)
            self.worker.send(encode_frame(Kind.CANCEL, number))
        for _ in range(self.random.randrange(1, 4)):  # once is enough; more must do no harm
            os.kill(self.worker.pid, signal.SIGUSR1)

    def take(self, *flags):
        try:
            frames = self.worker.read(*flags)
        except BlockingIOError:
            return
        for frame in frames:
            if frame.kind not in LAST:
                continue
            kind = self.waiting.pop(frame.number)  # fails for an answer that comes twice
            self.answered += 1
            if frame.number not in self.cancelled:
                assert frame.kind == (Kind.ERROR if kind == "raise" else self.good), (kind, frame)

    good = Kind.RESULT


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_calls_that_are_signalled_at_random_moments_are_answered_once(seed):
    with WorkerProcess(work) as worker:
        storm = Storm(worker, seed)
        storm.run(CANCELLATIONS)
        assert storm.answered == storm.number
        worker.call(storm.number + 1, b'"last"')
        assert worker.answers(1)[storm.number + 1].body == b'"last"'


@pytest.mark.slow
def test_streams_that_are_signalled_at_random_moments_are_answered_once():
    with WorkerProcess(many) as worker:
        storm = Storm(worker, 3)
        storm.good = Kind.END
        storm.run(CANCELLATIONS)
        assert storm.answered == storm.number
        worker.call(storm.number + 1, b'"last"')
        assert worker.answers(1)[storm.number + 1].kind == Kind.END


@pytest.fixture
def marks():
    fd = os.memfd_create("marks")
    yield fd
    os.close(fd)


def interrupted(handler, marks):
    """Cancel a call that leaves a mark once it runs; return its answer and the next one."""
    with WorkerProcess(handler) as worker:
        worker.call(1, b"1")
        while not os.fstat(marks).st_size:
            os.sched_yield()
        worker.cancel(1)
        first = worker.answers(1)[1]
        worker.call(2, b"0")
        return first, worker.answers(1)[2]


def test_the_handler_cleans_up(marks):
    def tidy(x: int) -> int:
        try:
            os.write(marks, b"begun")
            while x:
                pass
        finally:
            os.write(marks, b"clean")
        return x

    first, second = interrupted(tidy, marks)
    assert (first.kind, second.kind) == (Kind.ERROR, Kind.RESULT)
    assert os.pread(marks, 99, 0) == b"beguncleanbegunclean"


def test_an_except_exception_does_not_catch_it(marks):
    def stubborn(x: int) -> int:
        os.write(marks, b"begun")
        while x:
            try:
                while True:
                    pass
            except Exception:
                continue
        return x

    assert interrupted(stubborn, marks)[0].kind == Kind.ERROR


def test_a_second_signal_ends_a_handler_that_swallowed_the_first(marks):
    def stubborn(x: int) -> int:
        if x:
            try:
                os.write(marks, b"begun")
                while True:
                    pass
            except CallCancelled:
                os.write(marks, b"x")
            while True:
                pass
        return x

    with WorkerProcess(stubborn) as worker:
        worker.call(1, b"1")
        while not os.fstat(marks).st_size:
            os.sched_yield()
        worker.cancel(1)
        while os.fstat(marks).st_size == len(b"begun"):
            os.sched_yield()
        os.kill(worker.pid, signal.SIGUSR1)
        assert worker.answers(1)[1].kind == Kind.ERROR


def test_a_signal_for_another_call_does_nothing():
    ours, theirs = os.pipe()

    def wait(x: int) -> int:
        os.read(ours, 1)
        return x

    with WorkerProcess(wait) as worker:
        worker.call(5, b"1")
        while worker.running != 5:
            os.sched_yield()
        worker.cancel(4)
        os.write(theirs, b"x")
        assert worker.answers(1)[5].kind == Kind.RESULT
    os.close(ours)
    os.close(theirs)
