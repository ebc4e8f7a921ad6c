"""Windows without an attack: recordings of ordinary traffic, and traffic that is made up."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skerry.network.actions import Address
from skerry.network.defence import make_detector
from skerry.network.detection import BaselineRules, SlowRules, StrayRules, Traffic
from skerry.network.features import split
from skerry.network.flows.batch import FLOW, IPV4_PREFIX, FlowBatch
from skerry.network.flows.packets.recording import read_packets
from skerry.network.sensing import FlowWindows

WINDOW_MS = 100
# How long the detectors' own warm-up is, for each destination.
WARM_UP_WINDOWS = BaselineRules().warm_up
WARM_UP_S = max(StrayRules().warm_up_s, SlowRules().warm_up * SlowRules().look_s)
FOLDERS = ("pcap_normal", "pcap_iot_normal")
SAMPLING = 10
SERVERS, LENGTH_MS = 20, 60_000
_SYN, _ACK, _PSH, _FIN = 2, 16, 8, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a detector said of windows without an attack.

    Args:
        windows: How many there were.
        warm_up: How many of them were among the first of their destination, in which not every detector says something
            or has thresholds of its own.
        alarms: Why it raised an alarm, for each that it raised.
    """

    windows: int
    warm_up: int
    alarms: Sequence[str]

    @property
    def counted(self) -> int:
        """How many windows tell something of the detector."""
        return self.windows - self.warm_up


def judge_recordings(folder: Path) -> Judged:
    """Let a new detector judge each recording, one after the other, and learn."""
    windows, warm_up, alarms = 0, 0, []
    for file in sorted(path for name in FOLDERS for path in (folder / name).glob("*.pcap.gz")):
        found = judge([FlowBatch.join(list(read_packets(file)))])
        windows += found.windows
        warm_up += found.warm_up
        alarms += [f"{file.name}: {alarm}" for alarm in found.alarms]
    return Judged(windows=windows, warm_up=warm_up, alarms=alarms)


def judge(batches: Sequence[FlowBatch]) -> Judged:
    """Let a new detector judge all windows, and learn from those that it takes for ordinary, as the loop does."""
    detector = make_detector()
    first_s: dict[Address, float] = {}
    seen: Counter[Address] = Counter()
    warm_up, alarms = 0, []
    for window in _windows(batches):
        first = first_s.setdefault(window.destination, window.ended_s)
        seen[window.destination] += 1
        warm_up += seen[window.destination] <= WARM_UP_WINDOWS or window.ended_s - first < WARM_UP_S
        verdict = detector.judge(window)
        if verdict.alarm:
            alarms.append(verdict.reason)
        else:
            detector.learn(window)
    return Judged(windows=seen.total(), warm_up=warm_up, alarms=alarms)


def make_traffic(seed: int, *, servers: int = SERVERS, length_ms: int = LENGTH_MS) -> Iterator[FlowBatch]:
    """Yield made-up traffic to servers, as an exporter tells it that samples one packet of ten.

    Clients come in at random, more in some minutes than in others. Some stay for long, some send datagrams, and once a
    crowd comes to each server: ten times as many clients for five seconds.

    Args:
        seed: Of all that is drawn.
        servers: How many.
        length_ms: For how long.
    """
    draw = np.random.default_rng(seed)
    chance = random.Random(seed)
    for server in range(servers):
        per_s = chance.choice((2, 5, 20, 50))
        crowd_ms = chance.randrange(length_ms // 3, max(length_ms - 5000, length_ms // 3 + 1))
        rows = [_connections(draw, per_s, 0, length_ms), _connections(draw, 9 * per_s, crowd_ms, crowd_ms + 5000)]
        rows += [
            _stream(draw, chance.randrange(100, 1500), length_ms),
            _datagrams(draw, chance.randrange(300), length_ms),
        ]
        records = np.concatenate(rows)
        records = records[draw.random(len(records)) < 1 / SAMPLING]
        records["destination"]["low"] = IPV4_PREFIX | (10 << 24 | 9 << 16 | 3 << 8 | server + 2)
        records["sampling"], records["packets"] = SAMPLING, SAMPLING
        records["bytes"] *= SAMPLING
        records["first_ms"] = records["last_ms"] = records["received_ms"]
        yield FlowBatch(records=records[np.argsort(records["received_ms"], kind="stable")])


def _windows(batches: Sequence[FlowBatch]) -> Iterator[Traffic]:
    for batch in batches:
        windows = FlowWindows(width_ms=WINDOW_MS, late_ms=0)
        # A second at a time, as records would come.
        for second, part in split(batch, 1000):
            windows.add(part)
            yield from windows.ended(second.start_ms + second.width_ms)


def _connections(draw: np.random.Generator, per_s: float, from_ms: int, until_ms: int) -> Any:
    """Return the packets of connections that open, ask, and end: each of one client."""
    count = int(draw.poisson(per_s * (until_ms - from_ms) / 1000))
    packets = draw.geometric(0.12, count) + 4
    owner = np.repeat(np.arange(count), packets)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(packets) - packets, packets)
    out = np.zeros(len(owner), FLOW)
    out["received_ms"] = draw.integers(from_ms, until_ms, count)[owner] + place * draw.integers(1, 60, count)[owner]
    _fill(out, draw, owner, count, protocol=6, port=8080)
    first, last = place == 0, place == packets[owner] - 1
    out["tcp_flags"] = np.where(first, _SYN, np.where(last, _FIN | _ACK, np.where(place == 2, _PSH | _ACK, _ACK)))
    out["bytes"] = np.where(first, 60, np.where(place % 3 == 2, draw.integers(100, 1500, len(owner)), 52))
    return out


def _stream(draw: np.random.Generator, per_s: int, length_ms: int) -> Any:
    """Return the packets of one connection that sends all the time."""
    out = np.zeros(per_s * length_ms // 1000, FLOW)
    out["received_ms"] = draw.integers(0, length_ms, len(out))
    _fill(out, draw, np.zeros(len(out), np.int64), 1, protocol=6, port=5201)
    out["tcp_flags"], out["bytes"] = _ACK, 1500
    return out


def _datagrams(draw: np.random.Generator, per_s: int, length_ms: int) -> Any:
    """Return datagrams of thirty clients, such as calls and games."""
    out = np.zeros(per_s * length_ms // 1000, FLOW)
    out["received_ms"] = draw.integers(0, length_ms, len(out))
    _fill(out, draw, draw.integers(0, 30, len(out)), 30, protocol=17, port=443)
    out["bytes"] = draw.integers(60, 1300, len(out))
    return out


def _fill(out: Any, draw: np.random.Generator, owner: Any, count: int, *, protocol: int, port: int) -> None:
    clients = draw.integers(0x20000000, 0x60000000, max(count, 1), dtype=np.uint64)
    out["source"]["low"] = np.uint64(IPV4_PREFIX) | clients[owner]
    out["source_port"] = draw.integers(1024, 65536, max(count, 1))[owner]
    out["destination_port"], out["protocol"] = port, protocol
