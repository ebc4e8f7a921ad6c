"""When a front looks for an answer, and when its loop stays awake for the next call."""

import pytest

from skerry.runtime import lookout
from skerry.runtime.lookout import LONELIER, LONELY, LOOK_S, NEAR_S, NEXT_S, YIELD_S, Lookout


class Clock:
    """Time that passes when the test says so, and while the processor is given away."""

    def __init__(self, away_s=5e-6):
        self.now_s = 100.0
        self.away_s = away_s

    def monotonic(self):
        return self.now_s

    def sched_yield(self):
        self.now_s += self.away_s


class Loop:
    """Keeps what is to be called in its next turn."""

    def __init__(self):
        self.soon = []

    def call_soon(self, callback):
        self.soon.append(callback)

    def turn(self):
        due, self.soon = self.soon, []
        for callback in due:
            callback()
        return bool(due)


class Port:
    """Has an answer, or none."""

    def __init__(self, *, has_answer=True):
        self.has_answer = has_answer
        self.looks = 0

    def poll(self, limit_s):
        assert limit_s == LOOK_S
        self.looks += 1
        return self.has_answer


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(lookout, "time", clock)
    monkeypatch.setattr(lookout, "os", clock)
    return clock


def call(found, port):
    """Have a call come that finds no other."""
    if found.is_worth_it(NEAR_S / 2):
        found.look(port)


def test_answers_are_looked_for_once_calls_come_one_at_a_time_and_are_short(clock):
    found, port = Lookout(Loop()), Port()
    for _ in range(LONELY):
        call(found, port)
    assert port.looks == 0
    call(found, port)
    assert port.looks == 1
    assert not found.is_worth_it(NEAR_S * 1.01)
    assert not found.is_worth_it(None)
    found.alone = 0  # somebody else was there
    call(found, port)
    assert port.looks == 1


def test_answers_that_do_not_come_are_looked_for_seldom(clock):
    found, port = Lookout(Loop()), Port(has_answer=False)
    for _ in range(1000):
        call(found, port)
    assert 10 <= port.looks <= 40


def test_the_loop_stays_awake_for_a_caller_that_has_long_been_alone_until_its_next_call(clock):
    loop, port = Loop(), Port()
    found = Lookout(loop)
    for _ in range(LONELIER - 1):
        call(found, port)
        assert not loop.soon
    call(found, port)
    for _ in range(200):
        for _ in range(5):
            assert loop.turn()
        call(found, port)
        assert len(loop.soon) == 1  # one look goes on; none is added
    found.alone = 0  # somebody else has come: the loop has other work
    assert loop.turn()
    assert not loop.soon


def test_the_loop_sleeps_after_a_moment_and_learns_that_nobody_comes_soon(clock):
    loop, port = Loop(), Port()
    found = Lookout(loop)
    for _ in range(LONELIER):
        call(found, port)
    began_s = clock.now_s
    while loop.turn():
        pass
    assert NEXT_S <= clock.now_s - began_s <= NEXT_S + 2 * clock.away_s
    awake = 0
    for _ in range(1000):
        call(found, port)
        awake += bool(loop.soon)
        while loop.turn():
            pass
    assert 10 <= awake <= 40


def test_who_gives_the_processor_to_somebody_who_calculates_sleeps_at_once_and_for_long(clock):
    loop, port = Loop(), Port()
    found = Lookout(loop)
    clock.away_s = YIELD_S * 2
    awake = 0
    for _ in range(1000):
        call(found, port)
        awake += bool(loop.soon)
        loop.turn()
        assert not loop.soon
    assert awake <= 3
