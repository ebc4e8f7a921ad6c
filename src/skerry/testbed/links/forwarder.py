"""Moves packets between two TUN devices at the moments that their schedulers say.

`select` and not epoll: epoll counts its time-out in whole milliseconds, `select` in microseconds. What happens for each
packet is in one loop with local names: a machine that is slow for a moment is slower than its packets come, and what a
packet costs here decides how long the queue gets.
"""

from __future__ import annotations

import os
import time
from heapq import heappop, heappush
from select import select

from skerry.testbed.links.arrivals import Arrivals
from skerry.testbed.links.lateness import Lateness
from skerry.testbed.links.scheduler import Scheduler

# Packets that are read before those that are due are written again: reading must not make others late.
BATCH = 8
PACKET_BYTES = 65535
IDLE_S = 1.0
# What is due that soon is not slept for: to sleep and to wake takes as long, and leaves the processor's caches cold.
SPIN_S = 50e-6


class Direction:
    """One direction: from the device that is read to the device that is written.

    Args:
        source: File descriptor of the device whose packets come in; non-blocking.
        target: File descriptor of the device that they leave by; non-blocking.
        scheduler: What decides when.
        arrivals: What knows when the packets came; without it, they come when they are read.
    """

    def __init__(self, source: int, target: int, scheduler: Scheduler, arrivals: Arrivals | None = None) -> None:
        self.source = source
        self.target = target
        self.scheduler = scheduler
        self.lateness = Lateness()
        self.refused = 0
        self._arrivals = arrivals
        self._came_s = 0.0

    def read(self) -> list[tuple[float, bytes]]:
        """Take in a few of the packets that wait at the source, and return when each of them leaves."""
        arrivals, admit = self._arrivals, self.scheduler.admit
        leaving: list[tuple[float, bytes]] = []
        # In this order: a stop of the machine between the two makes packets later, as all else, and none too early.
        wall_s, now_s = time.time(), time.monotonic()
        for _ in range(BATCH):
            try:
                packet = os.read(self.source, PACKET_BYTES)
            except BlockingIOError:
                if arrivals is not None:
                    arrivals.forget_dropped()
                break
            came_s = time.monotonic()
            if arrivals is not None:
                came_s = arrivals.came_s(packet, wall_s + came_s - now_s) - wall_s + now_s
                self._came_s = came_s = max(came_s, self._came_s)
            for leaves_s in admit(len(packet), came_s):
                leaving.append((leaves_s, packet))
            # To be told that there is no other packet costs more than to have looked.
            if arrivals is not None and not arrivals.more:
                break
        return leaving


class Forwarder:
    """Both directions of a link, in one loop.

    Args:
        directions: The two of them.
        ahead_s: How much before its moment a packet may leave: what waking up takes on this machine, seconds.
    """

    def __init__(self, directions: tuple[Direction, Direction], *, ahead_s: float = 0.0) -> None:
        self._directions = {direction.source: direction for direction in directions}
        self._ahead_s = ahead_s
        # By moment, and by order of arrival where moments are the same.
        self._waiting: list[tuple[float, int, bytes, Direction]] = []
        self._count = 0

    def run(self, others: list[int], wake_s: float | None) -> list[int]:
        """Move packets until there is something else to do, and return which of the other descriptors can be read.

        Args:
            others: File descriptors to look at beside the devices'.
            wake_s: Moment to return at even if nothing can be read; None for none.
        """
        monotonic, write, ahead_s = time.monotonic, os.write, self._ahead_s
        waiting, directions = self._waiting, self._directions
        wanted = [*directions, *others]
        count = self._count
        while True:
            now_s = monotonic()
            while waiting and waiting[0][0] <= now_s + ahead_s:
                due_s, _, packet, direction = heappop(waiting)
                try:
                    write(direction.target, packet)
                except OSError:  # the interface at the other end is down: what it would do with the packet
                    direction.refused += 1
                now_s = monotonic()
                direction.lateness.add(now_s - due_s)
            until_s = waiting[0][0] - ahead_s if waiting else now_s + IDLE_S
            if wake_s is not None and wake_s < until_s:
                until_s = wake_s
            left_s = until_s - now_s
            ready = select(wanted, (), (), left_s if left_s > SPIN_S else 0.0)[0]
            for descriptor in ready:
                if descriptor in directions:
                    direction = directions[descriptor]
                    for leaves_s, packet in direction.read():
                        count += 1
                        heappush(waiting, (leaves_s, count, packet, direction))
            self._count = count
            asked = [descriptor for descriptor in ready if descriptor not in directions]
            if asked or (wake_s is not None and monotonic() >= wake_s):
                return asked
