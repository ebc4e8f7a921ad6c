"""Moves packets between two TUN devices at the moments that their schedulers say.

`select` and not epoll: epoll counts its time-out in whole milliseconds, `select` in microseconds.
"""

from __future__ import annotations

import os
import select
import time
from heapq import heappop, heappush

from skerry.testbed.links.lateness import Lateness
from skerry.testbed.links.scheduler import Scheduler

# Packets that are read before those that are due are written again: reading must not make others late.
BATCH = 8
PACKET_BYTES = 65535
IDLE_S = 1.0


class Direction:
    """One direction: from the device that is read to the device that is written.

    Args:
        source: File descriptor of the device whose packets come in; non-blocking.
        target: File descriptor of the device that they leave by; non-blocking.
        scheduler: What decides when.
    """

    def __init__(self, source: int, target: int, scheduler: Scheduler) -> None:
        self.source = source
        self.target = target
        self.scheduler = scheduler
        self.lateness = Lateness()
        self.refused = 0
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0

    @property
    def due_s(self) -> float | None:
        """When the next packet is to leave; None when none waits."""
        return self._waiting[0][0] if self._waiting else None

    def read(self) -> None:
        """Take in a few of the packets that wait at the source."""
        for _ in range(BATCH):
            try:
                packet = os.read(self.source, PACKET_BYTES)
            except BlockingIOError:
                return
            for leaves_s in self.scheduler.admit(len(packet), time.monotonic()):
                self._count += 1
                heappush(self._waiting, (leaves_s, self._count, packet))

    def write(self, ahead_s: float) -> None:
        """Let the packets go that are due within a moment."""
        waiting = self._waiting
        now_s = time.monotonic()
        while waiting and waiting[0][0] <= now_s + ahead_s:
            due_s, _, packet = heappop(waiting)
            try:
                os.write(self.target, packet)
            except OSError:  # the interface at the other end is down: what it would do with the packet
                self.refused += 1
            now_s = time.monotonic()
            self.lateness.add(now_s - due_s)


class Forwarder:
    """Both directions of a link, in one loop.

    Args:
        directions: The two of them.
        ahead_s: How much before its moment a packet may leave: what waking up takes on this machine, seconds.
    """

    def __init__(self, directions: tuple[Direction, Direction], *, ahead_s: float = 0.0) -> None:
        self._directions = directions
        self._ahead_s = ahead_s

    def step(self, others: list[int], wake_s: float | None) -> list[int]:
        """Wait for something to do, do it, and return which of the other descriptors can be read.

        Args:
            others: File descriptors to look at beside the devices'.
            wake_s: Moment to return at even if nothing happens; None for none.
        """
        until_s = time.monotonic() + IDLE_S if wake_s is None else wake_s
        for direction in self._directions:
            due_s = direction.due_s
            if due_s is not None and due_s - self._ahead_s < until_s:
                until_s = due_s - self._ahead_s
        wanted = [direction.source for direction in self._directions] + others
        ready, _, _ = select.select(wanted, [], [], max(0.0, until_s - time.monotonic()))
        for direction in self._directions:
            direction.write(self._ahead_s)
            if direction.source in ready:
                direction.read()
                direction.write(self._ahead_s)
        return [descriptor for descriptor in ready if descriptor in others]
