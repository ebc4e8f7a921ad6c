"""Ten minutes of hostile datagrams: nothing but records and counted refusals may come out, and memory must not grow.

    python -m benchmarks.flows_fuzz [--seconds 600] [--seed 1]

Golden datagrams of real exporters are damaged (bytes, lengths, counts, cuts, pieces of others, inventions of templates
and domains) and decoded by one decoder that lives as long as the run; now and then an undamaged recording must still be
read whole by a decoder of its own. Memory is looked at after a tenth of the time and at the end.
"""

from __future__ import annotations

import argparse
import gc
import random
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, save
from skerry.errors import DataError
from skerry.network.features import Window, measure
from skerry.network.flows import Datagram, FlowDecoder
from skerry.network.flows.packets.recording import read_datagrams
from skerry.network.syslog import parse_syslog

GOLDEN = Path(__file__).parents[1] / "tests" / "data" / "flows"
EDGES = (0, 1, 2, 3, 4, 5, 15, 16, 255, 256, 257, 1_023, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
SYSLOG = (
    b'<165>1 2003-10-11T22:14:15.003Z host app 77 ID47 [a@1 iut="3" b="x"][c] text',
    b"<34>Oct 11 22:14:15 h su[1]: x",
)

# What the decoder may hold in the end beyond what it held after a tenth of the time.
MAX_GROWTH_BYTES = 64 << 20
# The slowest batch of 64 datagrams; generous, for the machine may be busy.
MAX_BATCH_CPU_S = 5.0


def main() -> None:
    """Fuzz, print and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    drawn = random.Random(asked.seed)
    recordings = {path.name: _read(path) for path in sorted(GOLDEN.glob("*.pcap.gz"))}
    seeds = [each.data for recording in recordings.values() for each in recording]
    decoder, slowest_s, batches, early_bytes = FlowDecoder(), 0.0, 0, 0
    started_s = time.monotonic()
    while (passed_s := time.monotonic() - started_s) < asked.seconds:
        some = [_hostile(seeds, drawn) for _ in range(64)]
        used_s = time.process_time()
        batch = decoder.decode(some)
        measure(batch, Window(start_ms=0, width_ms=100)).matrix()
        decoder.take_counters()
        _parse(drawn)
        slowest_s = max(slowest_s, time.process_time() - used_s)
        batches += 1
        if not early_bytes and passed_s > asked.seconds / 10:
            early_bytes = _memory_bytes()
        if batches % 200 == 0:
            _check(recordings, drawn)
    growth_bytes = _memory_bytes() - early_bytes
    result: dict[str, Any] = {
        **facts(["numpy"]),
        "seconds": asked.seconds,
        "seed": asked.seed,
        "counts": decoder.counts.to_json(),
        "slowest_batch_cpu_s": slowest_s,
        "memory_growth_bytes": growth_bytes,
        "memory_bytes": _memory_bytes(),
    }
    print(f"{decoder.counts.datagrams:,} datagrams, {decoder.counts.records:,} records, no exception")
    print(f"slowest batch {slowest_s * 1e3:.0f} ms of processor time, memory grew by {growth_bytes / 2**20:.1f} MiB")
    print(f"written to {save('flows_fuzz', result)}")
    sys.exit(0 if growth_bytes <= MAX_GROWTH_BYTES and slowest_s <= MAX_BATCH_CPU_S else 1)


def _read(path: Path) -> list[Datagram]:
    return [each for some in read_datagrams(path) for each in some]


def _check(recordings: dict[str, list[Datagram]], drawn: random.Random) -> None:
    """Read an undamaged recording: a decoder must not have been harmed by what another was sent."""
    name = drawn.choice(sorted(recordings))
    decoder = FlowDecoder()
    decoder.decode(recordings[name])
    if decoder.counts.refused or not decoder.counts.records:
        raise SystemExit(f"{name} is no longer read: {decoder.counts.to_json()}")


def _hostile(seeds: Sequence[bytes], drawn: random.Random) -> Datagram:
    data = bytearray(drawn.choice(seeds))
    for _ in range(drawn.choice((0, 1, 1, 2, 4, 16))):
        drawn.choice(MUTATIONS)(data, seeds, drawn)
    address = bytes([10, 0, drawn.getrandbits(8), drawn.getrandbits(8)]) if drawn.random() < 0.3 else b"\x7f\0\0\1"
    # The clock runs fast, so that domains fall silent and make room.
    return Datagram(bytes(data[:65_507]), address, drawn.choice((1, 2, 2_055)), int(time.monotonic() * 60_000))


def _flip(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    if data:
        data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)


def _edge(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    """Put a number that is at some limit where numbers are: at even places."""
    if len(data) >= 4:
        struct.pack_into(">H", data, drawn.randrange(len(data) // 2 - 1) * 2, drawn.choice(EDGES))


def _head(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    if len(data) >= 24:
        struct.pack_into(">H", data, drawn.randrange(12) * 2, drawn.choice(EDGES))


def _cut(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    del data[drawn.randrange(len(data) + 1) :]


def _remove(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    at = drawn.randrange(len(data) + 1)
    del data[at : at + drawn.choice((1, 2, 4, 48))]


def _splice(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    other = drawn.choice(seeds)
    begin = drawn.randrange(len(other)) & ~3
    at = drawn.randrange(len(data) + 1) & ~3
    data[at:at] = other[begin : begin + drawn.choice((4, 16, 200, 1_400))]


def _repeat(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    """Repeat a piece until the datagram is as long as one can be."""
    at = drawn.randrange(len(data) + 1) & ~3
    piece = bytes(data[at : at + drawn.choice((4, 8, 40, 400))])
    if piece and drawn.random() < 0.1:
        data += piece * ((65_500 - len(data)) // len(piece))


def _invent(data: bytearray, seeds: Sequence[bytes], drawn: random.Random) -> None:
    """Become a message of invented templates and data sets of any domain."""
    version = drawn.choice((9, 10))
    sets = b""
    for _ in range(drawn.choice((1, 3, 30))):
        number = 256 + drawn.randrange(drawn.choice((4, 2_000)))
        fields = b"".join(
            struct.pack(
                ">HH", drawn.choice((1, 2, 8, 12, 7, 6, 27, 152, 48, 34, 999)), drawn.choice((1, 2, 4, 8, 16, 0xFFFF))
            )
            for _ in range(drawn.choice((0, 1, 5, 40)))
        )
        body = struct.pack(">HH", number, len(fields) // 4) + fields
        kind = (0 if version == 9 else 2) if drawn.random() < 0.6 else number
        sets += struct.pack(">HH", kind, 4 + len(body)) + body
    domain = drawn.randrange(drawn.choice((2, 1 << 32)))
    if version == 9:
        data[:] = (
            struct.pack(">HHIIII", 9, 1, drawn.getrandbits(32), 1_750_000_000, drawn.getrandbits(32), domain) + sets
        )
    else:
        data[:] = (
            struct.pack(">HHIII", 10, 16 + len(sets) & 0xFFFF, 1_750_000_000, drawn.getrandbits(32), domain) + sets
        )


MUTATIONS = (_flip, _edge, _edge, _head, _cut, _remove, _splice, _repeat, _invent)


def _parse(drawn: random.Random) -> None:
    for message in SYSLOG:
        data = bytearray(message)
        for _ in range(drawn.randrange(6)):
            drawn.choice((_flip, _cut, _remove, _repeat))(data, SYSLOG, drawn)
        try:
            parse_syslog(bytes(data), received_ms=drawn.getrandbits(44))
        except DataError:
            continue


def _memory_bytes() -> int:
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise SystemExit("there is no VmRSS in /proc/self/status")


if __name__ == "__main__":
    main()
