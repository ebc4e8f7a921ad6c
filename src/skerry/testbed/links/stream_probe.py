"""``python -m skerry.testbed.links.stream_probe``: times small messages and a bulk of bytes through a relay.

Both ends are this process, so that one clock times both; the caller has no part in it. The kernel stamps what arrives,
as it does for packets.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from typing import Any

from skerry.errors import PlatformError
from skerry.testbed.links.figures import summarise
from skerry.testbed.links.priority import PROBE_PRIORITY, take_priority
from skerry.testbed.links.probe import SETTLE_S
from skerry.testbed.links.stamps import STAMP_BYTES, ask_for_stamps, stamp_ns

MESSAGE = struct.Struct("<QQ")
ACCEPT_TIMEOUT_S = 20.0
CHUNK_BYTES = 1 << 16


def connect(order: dict[str, Any]) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection through the relay: the caller's, and the server's.

    Args:
        order: ``address`` of the relay and its ``target``, host and port each.
    """
    host, port = order["target"]
    with socket.create_server((host, port)) as server:
        server.settimeout(ACCEPT_TIMEOUT_S)
        near = socket.create_connection(tuple(order["address"]), timeout=ACCEPT_TIMEOUT_S)
        far, _ = server.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
        ask_for_stamps(end)
    return near, far


def measure_delay(order: dict[str, Any]) -> dict[str, Any]:
    """Send timed messages both ways at even distances; return how long they took.

    Args:
        order: As for `connect`, with ``packets``, ``interval_s`` and ``longest_s``.
    """
    near, far = connect(order)
    delays: dict[socket.socket, list[float]] = {near: [], far: []}
    rest = {near: b"", far: b""}

    def take_in(until_s: float) -> None:
        while True:
            left_s = until_s - time.monotonic()
            ready, _, _ = select.select([near, far], [], [], max(0.0, left_s))
            for end in ready:
                piece, notes, _, _ = end.recvmsg(CHUNK_BYTES, STAMP_BYTES)
                data, arrived_ns = rest[end] + piece, stamp_ns(notes) or time.time_ns()
                whole = len(data) // MESSAGE.size * MESSAGE.size
                delays[end] += [(arrived_ns - sent_ns) / 1e6 for _, sent_ns in MESSAGE.iter_unpack(data[:whole])]
                rest[end] = data[whole:]
            if left_s <= 0:
                return

    # A connection's first bytes wait for the round trip that its making would have taken: they are no measure.
    take_in(time.monotonic() + 2 * order["longest_s"])
    begun_s = time.monotonic()
    for number in range(order["packets"]):
        take_in(begun_s + number * order["interval_s"])
        for end in (near, far):
            end.send(MESSAGE.pack(number, time.time_ns()))
    took_s = time.monotonic() - begun_s
    take_in(time.monotonic() + order["longest_s"] + SETTLE_S)
    forward, backward = summarise(delays[far]), summarise(delays[near])
    near.close()
    far.close()
    said = {"forward": {"delay": forward}, "backward": {"delay": backward}}
    return {"took_s": took_s, "sent": order["packets"], **said}


def measure_rate(order: dict[str, Any]) -> dict[str, Any]:
    """Send as much as passes for some seconds in one direction, and return how much that was.

    Args:
        order: As for `connect`, with ``direction`` and ``seconds``.

    Raises:
        PlatformError: nothing passed.
    """
    near, far = connect(order)
    sender, receiver = (near, far) if order["direction"] == "forward" else (far, near)
    body = bytes(CHUNK_BYTES)
    select.select([], [], [], 2 * order["longest_s"])  # as above: what would wait until then came all at once
    ends_s = time.monotonic() + order["seconds"] + order["longest_s"]
    first_s = last_s = 0.0
    received_bytes = 0
    while time.monotonic() < ends_s:
        readable, writable, _ = select.select([receiver], [sender], [], 1.0)
        if writable:
            sender.send(body)
        if readable:
            size_bytes = len(receiver.recv(CHUNK_BYTES))
            last_s = time.monotonic()
            # What comes first only starts the clock.
            received_bytes += size_bytes if first_s else 0
            first_s = first_s or last_s
    near.close()
    far.close()
    if last_s <= first_s:
        raise PlatformError("nothing passed through the relay")
    return {"rate_mbps": received_bytes * 8 / (last_s - first_s) / 1e6}


def main() -> int:
    """Carry out one order."""
    order = json.load(sys.stdin)
    scheduling = take_priority(PROBE_PRIORITY)
    measure = {"delay": measure_delay, "rate": measure_rate}[order["measure"]]
    sys.stdout.write(json.dumps({**measure(order), "scheduling": scheduling}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
