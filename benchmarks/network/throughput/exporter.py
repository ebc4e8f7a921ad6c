"""An exporter: flow records of a busy link with a pulse of forged openings now and then, as datagrams, by a plan."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.flows import FIELDS

IPFIX, NETFLOW_9 = 10, 9
PER_DATAGRAM = 24
SCOPE = "198.51.100.0/24"
SERVERS = 64
TOLD_AGAIN = 3000  # connections that last, which are told again and again; each other record is of a new one
PULSE_EVERY_S, PULSE_S = 4.0, 0.5
_FIRST_SERVER = 0xC633_6401
_FIRST_CLIENT = 0x0A00_0000
_CLIENTS = 20_000
_RECORD = np.dtype(
    [
        *[("source", ">u4"), ("destination", ">u4"), ("source_port", ">u2"), ("destination_port", ">u2")],
        *[("protocol", "u1"), ("flags", "u1"), ("packets", ">u4"), ("bytes", ">u4")],
        *[("first", ">u4"), ("last", ">u4"), ("in", ">u2"), ("out", ">u2")],
    ]
)
_SYN, _ACK_PSH, _ALL = 0x02, 0x18, 0x1B


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is sent.

    Attributes:
        datagrams: In their order.
        records: Flow records in all of them.
        packets: Packets that the records tell of.
        rate_per_s: Records per second.
    """

    datagrams: Sequence[bytes]
    records: int
    packets: int
    rate_per_s: float


def make_plan(rate_per_s: float, seconds: float, *, version: int = IPFIX, seed: int = 8) -> Plan:
    """Return the datagrams of some seconds at a rate; the same for the same arguments."""
    count = max(1, round(rate_per_s * seconds / PER_DATAGRAM)) * PER_DATAGRAM
    records = _records(count, rate_per_s, np.random.default_rng(seed))
    datagrams = [
        _datagram(version, number, records[number * PER_DATAGRAM : (number + 1) * PER_DATAGRAM].tobytes())
        for number in range(count // PER_DATAGRAM)
    ]
    return Plan(datagrams=datagrams, records=count, packets=int(records["packets"].sum()), rate_per_s=rate_per_s)


def send(plan: Plan, port: int) -> float:
    """Send the datagrams when the plan has them leave, whatever becomes of them; return how late it was, seconds."""
    latest_s = 0.0
    every_s = PER_DATAGRAM / plan.rate_per_s
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        began_s = time.perf_counter()
        for number, data in enumerate(plan.datagrams):
            ahead_s = began_s + number * every_s - time.perf_counter()
            if ahead_s > 0.001:
                time.sleep(ahead_s)
            latest_s = max(latest_s, -ahead_s)
            sender.send(data)
    return latest_s


def _records(count: int, rate_per_s: float, drawn: np.random.Generator) -> Any:
    """Return records in the order of time: half of them of connections that last, and pulses of forged openings."""
    found = np.zeros(count, _RECORD)
    lasts = drawn.random(count) < 0.5
    one = np.where(lasts, drawn.integers(0, TOLD_AGAIN, count), 0)
    found["source"] = _FIRST_CLIENT + np.where(lasts, one % 1000, drawn.integers(0, _CLIENTS, count))
    found["source_port"] = np.where(lasts, 20_000 + one, drawn.integers(1024, 65_536, count))
    found["destination"] = _FIRST_SERVER + np.where(lasts, one % SERVERS, drawn.integers(0, SERVERS, count))
    found["destination_port"], found["protocol"] = 443, 6
    found["flags"] = np.where(lasts, _ACK_PSH, _ALL)
    asks = drawn.random(count) < 0.1
    found["protocol"][asks], found["flags"][asks], found["destination_port"][asks] = 17, 0, 53
    found["packets"] = np.where(asks, 1, 10)
    found["bytes"] = found["packets"] * drawn.integers(60, 1400, count)
    at_s = np.arange(count) / rate_per_s
    forged = (at_s % PULSE_EVERY_S >= PULSE_EVERY_S - PULSE_S) & (drawn.random(count) < 0.5)
    many = int(forged.sum())
    found["source"][forged] = drawn.integers(0x0B00_0000, 0xDF00_0000, many)
    found["source_port"][forged] = drawn.integers(1024, 65_536, many)
    found["destination"][forged], found["destination_port"][forged] = _FIRST_SERVER, 443
    found["protocol"][forged], found["flags"][forged] = 6, _SYN
    found["packets"][forged], found["bytes"][forged] = 3, 120
    return found


def _datagram(version: int, number: int, body: bytes) -> bytes:
    template = struct.pack(">HH", 256, len(FIELDS)) + b"".join(struct.pack(">HH", *each) for each in FIELDS)
    head = b"" if number % 100 else struct.pack(">HH", 0 if version == NETFLOW_9 else 2, 4 + len(template)) + template
    sets = head + struct.pack(">HH", 256, 4 + len(body)) + body
    now_s = 1_750_000_000
    if version == NETFLOW_9:
        return struct.pack(">HHIIII", version, PER_DATAGRAM, 90_000, now_s, number, 1) + sets
    return struct.pack(">HHIII", version, 16 + len(sets), now_s, number * PER_DATAGRAM, 1) + sets
