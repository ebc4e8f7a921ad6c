"""How many flow records a second are decoded, measured and scored, on one core.

    python -m benchmarks.flows [--records 400000] [--seconds 20]

Each window of 100 ms is decoded from datagrams as they arrive, its features are measured by destination and protocol,
and each row is scored by its distance to a learned mean, the vectorised form of a baseline. Processor time counts, so
that other work on the machine does not; wall time is told beside it. The second part sends the datagrams through UDP to
a collector at the rate that was asked for, and counts what arrives.
"""

from __future__ import annotations

import argparse
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.measuring import facts, save
from skerry.network.features import KnownSources, Window, measure
from skerry.network.flows import Datagram, FlowBatch, FlowDecoder
from skerry.network.flows.collector import FlowCollector

FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4), (22, 4), (21, 4), (10, 2), (14, 2))
WINDOW = Window(start_ms=0, width_ms=100)
TARGET_PER_S = 34_500


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=2 * TARGET_PER_S, help="records a second through UDP")
    asked = parser.parse_args()
    result: dict[str, Any] = {**facts(["numpy"]), "target_per_s": TARGET_PER_S, "decoded": {}}
    for name, version, per_datagram in (
        ("NetFlow v5, 30 a datagram", 5, 30),
        ("NetFlow v9, 24 a datagram", 9, 24),
        ("IPFIX, 24 a datagram", 10, 24),
        ("IPFIX, 7 a datagram", 10, 7),
        ("IPFIX, 1 a datagram", 10, 1),
        ("sFlow, 7 a datagram", 0, 7),
    ):
        result["decoded"][name] = rates = _decode(list(_datagrams(version, asked.records, per_datagram)), per_datagram)
        print(f"{name:28} {rates['per_s']:>9,.0f} records/s of one core ({rates['wall_per_s']:,.0f} by the clock)")
    result["through_udp"] = udp = _through_udp(asked.rate, asked.seconds)
    print(f"through UDP at {udp['sent_per_s']:,.0f}/s: {udp['scored_per_s']:,.0f}/s scored, {udp['lost']} lost")
    print(f"written to {save('flows', result)}")
    slowest = min(rates["per_s"] for rates in result["decoded"].values())
    sys.exit(0 if slowest >= TARGET_PER_S and udp["scored_per_s"] >= TARGET_PER_S else 1)


class Scorer:
    """Features of each window, and their distance to what was usual."""

    def __init__(self) -> None:
        self._known = KnownSources()
        self._mean: Any = None
        self.rows = 0

    def score(self, batch: FlowBatch) -> float:
        """Return the score of the most unusual row."""
        import numpy as np

        matrix = np.log1p(measure(batch, WINDOW, known=self._known).matrix())
        self._known = self._known.remember(batch["source"], now_ms=int(batch["received_ms"][0]))
        self.rows += len(matrix)
        if self._mean is None:
            self._mean, self._deviation = matrix.mean(axis=0), matrix.std(axis=0) + 0.1
        return float(np.abs((matrix - self._mean) / self._deviation).max())


def _decode(datagrams: Sequence[Datagram], per_datagram: int) -> dict[str, float]:
    decoder, scorer = FlowDecoder(), Scorer()
    at_once = max(1, TARGET_PER_S // 10 // per_datagram)
    started_s, used_s, records = time.perf_counter(), time.process_time(), 0
    for i in range(0, len(datagrams), at_once):
        batch = decoder.decode(datagrams[i : i + at_once])
        scorer.score(batch)
        records += len(batch)
    used_s, took_s = time.process_time() - used_s, time.perf_counter() - started_s
    if decoder.counts.refused or decoder.counts.lost:
        raise SystemExit(f"the decoder has refused its own benchmark: {decoder.counts.to_json()}")
    return {"records": records, "per_s": records / used_s, "wall_per_s": records / took_s, "rows": scorer.rows}


def _through_udp(rate: int, seconds: float) -> dict[str, float]:
    per_datagram = 24
    datagrams = [each.data for each in _datagrams(10, min(int(rate * seconds), 2_000_000), per_datagram)]
    scorer, records = Scorer(), 0
    with FlowCollector(port=0, interval_ms=WINDOW.width_ms) as collector:
        sender = threading.Thread(target=_send, args=(datagrams, collector.port, rate / per_datagram))
        started_s = last_s = time.perf_counter()
        sender.start()
        while sender.is_alive() or time.perf_counter() - last_s < 1:
            batch = collector.take(0.2)
            if batch is not None:
                scorer.score(batch)
                records += len(batch)
                last_s = time.perf_counter()
        sender.join()
        dropped = collector.dropped
    took_s = last_s - started_s
    sent = len(datagrams) * per_datagram
    return {
        "sent": sent,
        "sent_per_s": sent / took_s,
        "scored_per_s": records / took_s,
        "lost": sent - records,
        "datagrams_dropped": dropped,
    }


def _send(datagrams: Sequence[bytes], port: int, per_s: float) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        started_s = time.perf_counter()
        for i, data in enumerate(datagrams):
            ahead_s = i / per_s - (time.perf_counter() - started_s)
            if ahead_s > 0.002:
                time.sleep(ahead_s)
            sender.send(data)


def _datagrams(version: int, records: int, per_datagram: int) -> Iterator[Datagram]:
    drawn = random.Random(1)
    address = bytes([192, 0, 2, 1])
    for i in range(records // per_datagram):
        data = _message(version, i, per_datagram, drawn)
        yield Datagram(data, address, 2055, 1_750_000_000_000 + i)


def _message(version: int, number: int, count: int, drawn: random.Random) -> bytes:
    flows = [(drawn.getrandbits(32), 0xC633_6400 + drawn.getrandbits(6), drawn.getrandbits(16)) for _ in range(count)]
    if version == 5:
        head = struct.pack(">HHIIIIHH", 5, count, 90_000, 1_750_000_000, 0, number * count, 0, 0)
        body = [
            struct.pack(">IIIHHIIIIHHBBBBHHBBH", s, d, 0, 1, 2, 3, 180, 1, 2, p, 80, 0, 2, 6, 0, 0, 0, 0, 0, 0)
            for s, d, p in flows
        ]
        return head + b"".join(body)
    if version == 0:
        return _sflow(number, flows)
    body = [struct.pack(">IIHHBBIIIIHH", s, d, p, 80, 6, 2, 3, 180, 1_000, 2_000, 1, 2) for s, d, p in flows]
    template = struct.pack(">HH", 256, len(FIELDS)) + b"".join(struct.pack(">HH", *each) for each in FIELDS)
    parts = [] if number % 100 else [struct.pack(">HH", 0 if version == 9 else 2, 4 + len(template)) + template]
    sets = b"".join([*parts, struct.pack(">HH", 256, 4 + 34 * count), *body])
    if version == 9:
        return struct.pack(">HHIIII", 9, count, 90_000, 1_750_000_000, number, 1) + sets
    return struct.pack(">HHIII", 10, 16 + len(sets), 1_750_000_000, number * count, 1) + sets


def _sflow(number: int, flows: Sequence[tuple[int, int, int]]) -> bytes:
    samples = []
    for i, (source, destination, port) in enumerate(flows):
        packet = bytes(12) + struct.pack(">HBBHIBBHII", 0x0800, 0x45, 0, 60, 0, 64, 6, 0, source, destination)
        packet += struct.pack(">HHIIBBHHH", port, 80, 1, 0, 0x50, 2, 1_024, 0, 0) + bytes(74)
        record = struct.pack(">IIIIII", 1, 16 + len(packet), 1, 78, 4, len(packet)) + packet
        sample = struct.pack(">IIIIIIII", i, 1, 100, 1_000, 0, 1, 2, 1) + record
        samples.append(struct.pack(">II", 1, len(sample)) + sample)
    head = struct.pack(">IIIIIII", 5, 1, 0xC000_0201, 0, number, 90_000, len(samples))
    return head + b"".join(samples)


if __name__ == "__main__":
    main()
