"""``python -m skerry.testbed.links.probe``: sends timed packets both ways over a link, and says what became of them.

Its order comes on standard input, its figures go to standard output. The kernel stamps what arrives, so that how soon
this process gets to read it does not matter.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any

from skerry.testbed.links.figures import summarise
from skerry.testbed.links.namespace import inside
from skerry.testbed.links.priority import PROBE_PRIORITY, take_priority
from skerry.testbed.links.spells import Spells
from skerry.testbed.links.stamps import STAMP_BYTES, ask_for_stamps, stamp_ns
from skerry.testbed.links.watch import Watch

SO_RCVBUFFORCE = 33
SO_SNDBUFFORCE = 32
BUFFER_BYTES = 64 << 20
HEADER = struct.Struct("<QQ")
IP_UDP_BYTES = 28
# How long the last packets may take, on top of the delay: the queue, and what lateness there is.
SETTLE_S = 0.5
FLOOD_BURST = 8


class Receiver:
    """One socket that takes in probes, and what arrived at it."""

    def __init__(self, namespace: str | None, address: str) -> None:
        with inside(namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind((address, 0))
        ask_for_stamps(self.socket)
        for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        # When each was sent and when it arrived, nanoseconds of the wall clock.
        self.ways_ns: list[tuple[int, int]] = []
        self.seen: set[int] = set()
        self.duplicates = 0
        self.overtaken = 0
        self.bytes = 0
        self.first_ns = 0
        self.last_ns = 0
        self._highest = -1

    def drain(self) -> None:
        """Take in all that has arrived."""
        while True:
            try:
                data, notes, _, _ = self.socket.recvmsg(2048, STAMP_BYTES)
            except BlockingIOError:
                return
            arrived_ns = stamp_ns(notes)
            if len(data) >= HEADER.size and arrived_ns is not None:
                self._count(data, arrived_ns)

    def _count(self, data: bytes, arrived_ns: int) -> None:
        number, sent_ns = HEADER.unpack_from(data)
        if not self.first_ns:
            self.first_ns = arrived_ns
        else:
            self.bytes += len(data) + IP_UDP_BYTES
        self.last_ns = arrived_ns
        if number in self.seen:
            self.duplicates += 1
            return
        self.seen.add(number)
        if number < self._highest:
            self.overtaken += 1
        self._highest = max(self._highest, number)
        self.ways_ns.append((sent_ns, arrived_ns))


class Echo:
    """Pings: the kernel at the other end answers them, so that no process there has a part in the round trip."""

    def __init__(self, namespace: str | None, target: str) -> None:
        with inside(namespace):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
        ask_for_stamps(self.socket)
        self.socket.connect((target, 0))
        self._mark = os.getpid() & 0xFFFF
        self.round_trips_ms: list[float] = []

    def send(self, number: int) -> None:
        """Send one."""
        body = struct.pack("!BBHHH", 8, 0, 0, self._mark, number & 0xFFFF) + HEADER.pack(number, time.time_ns())
        summed = sum(struct.unpack(f"!{len(body) // 2}H", body))
        summed = (summed >> 16) + (summed & 0xFFFF)
        checksum = ~(summed + (summed >> 16)) & 0xFFFF
        self.socket.send(body[:2] + struct.pack("!H", checksum) + body[4:])

    def drain(self) -> None:
        """Take in all answers that have arrived."""
        while True:
            try:
                data, notes, _, _ = self.socket.recvmsg(2048, STAMP_BYTES)
            except BlockingIOError:
                return
            head_bytes = (data[0] & 15) * 4
            kind, _, _, mark, _ = struct.unpack_from("!BBHHH", data, head_bytes)
            arrived_ns = stamp_ns(notes)
            if kind == 0 and mark == self._mark and arrived_ns is not None:
                _, sent_ns = HEADER.unpack_from(data, head_bytes + 8)
                self.round_trips_ms.append((arrived_ns - sent_ns) / 1e6)


def measure_delay(order: dict[str, Any]) -> dict[str, Any]:
    """Send probes both ways at even distances, and pings among them; return the figures of each direction.

    Args:
        order: ``first`` and ``second`` (``namespace``, ``address``), ``packets``, ``interval_s``, ``size_bytes``
            (of the IP packet), ``pings``, ``longest_s`` (what a packet may take).

    Returns:
        Beside the figures of all packets those of the ``clear`` ones, which met no slow moment of the machine, and what
        the ``machine`` did meanwhile; neither where it could not be watched.
    """
    first, second = (Receiver(order[name]["namespace"], order[name]["address"]) for name in ("first", "second"))
    echo = Echo(order["first"]["namespace"], order["second"]["address"])
    padding = bytes(max(0, order["size_bytes"] - IP_UDP_BYTES - HEADER.size))
    every = max(1, order["packets"] // order["pings"]) if order["pings"] else 0
    to_second, to_first = second.socket.getsockname(), first.socket.getsockname()
    with Watch() as watch:
        begun_s, began_s = time.monotonic(), time.time()
        for number in range(order["packets"]):
            _wait(begun_s + number * order["interval_s"], first, second, echo)
            first.socket.sendto(HEADER.pack(number, time.time_ns()) + padding, to_second)
            second.socket.sendto(HEADER.pack(number, time.time_ns()) + padding, to_first)
            if every and number % every == 0:
                echo.send(number)
        took_s = time.monotonic() - begun_s
        _wait(time.monotonic() + order["longest_s"] + SETTLE_S, first, second, echo)
        watched = watch.end(began_s, began_s + took_s)
    spells, machine = watched or (None, None)
    return {
        "took_s": took_s,
        "machine": machine,
        "forward": _figures(second, order["packets"], spells),
        "backward": _figures(first, order["packets"], spells),
        "round_trip": summarise(echo.round_trips_ms),
    }


def measure_rate(order: dict[str, Any]) -> dict[str, Any]:
    """Send more than a link carries in one direction, and return what came through.

    Args:
        order: ``first`` (which sends) and ``second``, ``offered_mbps``, ``seconds``, ``size_bytes``, ``longest_s``.
    """
    first, second = (Receiver(order[name]["namespace"], order[name]["address"]) for name in ("first", "second"))
    padding = bytes(order["size_bytes"] - IP_UDP_BYTES - HEADER.size)
    gap_s = order["size_bytes"] * 8 / (order["offered_mbps"] * 1e6)
    target = second.socket.getsockname()
    begun_s = time.monotonic()
    sent = 0
    while time.monotonic() < begun_s + order["seconds"]:
        due = int((time.monotonic() - begun_s) / gap_s) + 1
        for _ in range(min(FLOOD_BURST, due - sent)):
            with suppress(BlockingIOError):
                first.socket.sendto(HEADER.pack(sent, time.time_ns()) + padding, target)
            sent += 1
        _wait(begun_s + sent * gap_s, second)
    offered_s = time.monotonic() - begun_s
    _wait(time.monotonic() + order["longest_s"] + SETTLE_S, second)
    received_s = (second.last_ns - second.first_ns) / 1e9
    return {
        "offered_mbps": sent * order["size_bytes"] * 8 / offered_s / 1e6,
        "rate_mbps": second.bytes * 8 / received_s / 1e6 if received_s > 0 else 0.0,
    }


def _figures(receiver: Receiver, sent: int, spells: Spells | None) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "sent": sent,
        "lost": sent - len(receiver.seen),
        "duplicates": receiver.duplicates,
        "overtaken": receiver.overtaken,
        "delay": summarise([(arrived_ns - sent_ns) / 1e6 for sent_ns, arrived_ns in receiver.ways_ns]),
    }
    if spells is not None:
        figures["clear"] = summarise(
            [
                (arrived_ns - sent_ns) / 1e6
                for sent_ns, arrived_ns in receiver.ways_ns
                if not spells.meet(sent_ns / 1e9, arrived_ns / 1e9)
            ]
        )
    return figures


def _wait(until_s: float, *receivers: Receiver | Echo) -> None:
    """Take in what arrives until a moment."""
    while True:
        left_s = until_s - time.monotonic()
        ready, _, _ = select.select([receiver.socket for receiver in receivers], [], [], max(0.0, left_s))
        for receiver in receivers:
            if receiver.socket in ready:
                receiver.drain()
        if left_s <= 0:
            return


def main() -> int:
    """Carry out one order."""
    order = json.load(sys.stdin)
    scheduling = take_priority(PROBE_PRIORITY)
    measure = {"delay": measure_delay, "rate": measure_rate}[order["measure"]]
    sys.stdout.write(json.dumps({**measure(order), "scheduling": scheduling}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
