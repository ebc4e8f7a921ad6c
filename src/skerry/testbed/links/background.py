"""``python -m skerry.testbed.links.background``: load on the processors or on a link while something is measured.

Ends by itself when its standard input is closed, so that it never outlives what started it.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from skerry.testbed.links.base import End
from skerry.testbed.links.namespace import inside

DISCARD_PORT = 9
LOOK_S = 0.05


@contextmanager
def background(ends: tuple[End, End], *, stream_mbps: float, stream_bytes: int) -> Iterator[None]:
    """Keep every processor busy, and a stream of packets in both directions of a link, during a block.

    Args:
        ends: The link's ends.
        stream_mbps: How much is sent each way.
        stream_bytes: Length of each IP packet of it.
    """
    orders: list[dict[str, Any]] = [{"burn": True} for _ in range(len(os.sched_getaffinity(0)))]
    orders += [
        {
            "burn": False,
            "namespace": sender.namespace,
            "address": sender.address,
            "target": target.address,
            "mbps": stream_mbps,
            "size_bytes": stream_bytes,
        }
        for sender, target in (ends, ends[::-1])
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for order in orders:
            process = subprocess.Popen(
                [sys.executable, "-m", "skerry.testbed.links.background", json.dumps(order)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            running.append(process)
        for process in running:
            if process.stdout is not None:
                process.stdout.readline()  # it says when it has begun
        yield
    finally:
        for process in running:
            process.kill()
            process.communicate()


def burn() -> None:
    """Compute until standard input is closed."""
    while not _is_over():
        until_s = time.monotonic() + LOOK_S
        while time.monotonic() < until_s:
            pass


def stream(order: dict[str, Any]) -> None:
    """Send packets at even distances until standard input is closed."""
    with inside(order["namespace"]):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((order["address"], 0))
    body = bytes(order["size_bytes"] - 28)
    gap_s = order["size_bytes"] * 8 / (order["mbps"] * 1e6)
    due_s = time.monotonic()
    look_s = due_s + LOOK_S
    while True:
        with suppress(OSError):  # nobody listens at the other end, and it says so
            sender.sendto(body, (order["target"], DISCARD_PORT))
        now_s = time.monotonic()
        if now_s > look_s:
            if _is_over():
                return
            look_s = now_s + LOOK_S
        # What was missed while the processors were busy is not made up for in a burst.
        due_s = max(due_s + gap_s, now_s - gap_s)
        if due_s > now_s:
            time.sleep(due_s - now_s)


def _is_over() -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and not os.read(sys.stdin.fileno(), 1)


def main() -> int:
    """Carry out the order of the first argument."""
    order = json.loads(sys.argv[1])
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    if order["burn"]:
        burn()
    else:
        stream(order)
    return 0


if __name__ == "__main__":
    sys.exit(main())
