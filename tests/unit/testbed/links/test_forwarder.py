import os
from types import SimpleNamespace

import pytest

from skerry.testbed.links import Conditions, forwarder
from skerry.testbed.links.forwarder import Direction
from skerry.testbed.links.scheduler import Scheduler

WALL_S = 1_000_000.0  # what the wall clock reads when the other one begins


class StoppedClock:
    """Both clocks of a machine that stands for 100 ms once one of them was read."""

    def __init__(self, now_s):
        self.now_s = now_s
        self._stops_s = [0.1]

    def monotonic(self):
        read_s = self.now_s
        self.now_s += self._stops_s.pop() if self._stops_s else 0.0
        return read_s

    def time(self):
        return WALL_S + self.monotonic()


@pytest.fixture
def pipe():
    source, other = os.pipe()
    os.set_blocking(source, False)
    yield source, other
    os.close(source)
    os.close(other)


def test_a_stop_between_the_readings_of_two_clocks_lets_no_packet_leave_too_early(pipe, monkeypatch):
    clock = StoppedClock(50.0)
    monkeypatch.setattr(forwarder, "time", clock)
    came_s = 49.99
    arrivals = SimpleNamespace(came_s=lambda packet, now_s: WALL_S + came_s, more=False)
    source, other = pipe
    os.write(other, b"packet")

    ((leaves_s, _),) = Direction(source, other, Scheduler(Conditions(delay_ms=10)), arrivals).read()

    assert came_s + 0.01 <= leaves_s + 1e-6
    assert leaves_s <= clock.now_s + 0.01
