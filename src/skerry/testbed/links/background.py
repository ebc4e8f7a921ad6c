"""Load on the processors and on a link while something is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from skerry.testbed.links.base import End


@contextmanager
def background(
    streams: Sequence[tuple[End, End]] = (), *, stream_mbps: float = 1.0, stream_bytes: int = 1400
) -> Iterator[None]:
    """Keep every processor busy, and streams of packets on a link, during a block.

    Args:
        streams: From where to where each of them goes.
        stream_mbps: How much each of them sends.
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
        for sender, target in streams
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for order in orders:
            process = subprocess.Popen(
                [sys.executable, "-m", "skerry.testbed.links.background_process", json.dumps(order)],
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
