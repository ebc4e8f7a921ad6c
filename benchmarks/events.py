"""Durable events per second, and how soon they are with their function: ``python -m benchmarks.events``.

One engine, one function with one trigger, one client process on the same machine. The client publishes batches over
HTTP (``application/cloudevents-batch+json``) on keep-alive connections, each of which waits for the 202 of its batch,
which the engine sends after the commit. Two rounds:

* throughput: all connections publish as fast as they are answered. The rate is events over the time from the first
  request to the moment when the last event was with the function.
* latency: batches are sent by a plan at half the bar's rate, whatever becomes of those before. The latency of an event
  is the time from its intended moment to the first line of the handler, by the clock of the machine.

``--together`` is how many events one call of the function takes as a list; 1 gives them singly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import facts, line, save, spread

BAR_PER_S = 8450.0
BAR_MS = 18.7
BAR_RATIO = 0.999
BATCH = "application/cloudevents-batch+json"

APP = """
import os, struct, time
import skerry

app = skerry.App("measured")
FOLDER = {folder!r}

@app.on(skerry.Event(type="measured"){batch})
class Note:
    def load(self):
        self.file = open(os.path.join(FOLDER, str(os.getpid())), "ab", buffering=0)

    def __call__(self, {parameter}) -> None:
        now = time.time()
        {body}
"""
SINGLY = ("event: skerry.Event", "self.file.write(struct.pack('dd', event.data['at'], now))")
AS_LIST = (
    "events: list[skerry.Event]",
    "self.file.write(b''.join(struct.pack('dd', one.data['at'], now) for one in events))",
)


class Place:
    """An engine with the measured function in a temporary folder."""

    def __init__(self, folder: Path, together: int) -> None:
        self.records = folder / "records"
        self.records.mkdir()
        parameter, body = SINGLY if together == 1 else AS_LIST
        batch = "" if together == 1 else f", batch={together}"
        source = APP.format(folder=str(self.records), batch=batch, parameter=parameter, body=body)
        (folder / "app.py").write_text(source)
        command = [sys.executable, "-m", "skerry.engine", "--home", str(folder / "home"), "--port", "0"]
        self.process = subprocess.Popen([*command, "--serve", str(folder / "app.py")], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        said = self.process.stdout.readline().decode()
        if not said.startswith("skerry engine: http://"):
            raise RuntimeError(f"the engine did not start: {said}")
        self.port = int(said.strip().rpartition(":")[2])

    def taken(self) -> list[tuple[float, float]]:
        """Return the intended moment and the arrival of every event that the function has got."""
        data = b"".join(path.read_bytes() for path in self.records.iterdir())
        return list(struct.iter_unpack("dd", data[: len(data) // 16 * 16]))

    def forget(self) -> None:
        """Begin a new round."""
        for path in self.records.iterdir():
            os.truncate(path, 0)

    def wait(self, count: int, within_s: float) -> list[tuple[float, float]]:
        """Return what `taken` does once there are so many."""
        until = time.monotonic() + within_s
        while True:
            found = sum(path.stat().st_size for path in self.records.iterdir()) // 16
            if found >= count:
                return self.taken()
            if time.monotonic() > until:
                raise RuntimeError(f"{found} of {count} events were with the function after {within_s:g} s")
            time.sleep(0.05)

    def close(self) -> None:
        """Stop the engine."""
        self.process.terminate()
        self.process.wait(30)


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection to the engine."""
    return await asyncio.open_connection("127.0.0.1", port)


async def publish(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter], body: bytes) -> None:
    """Publish a batch and wait until it is durable."""
    reader, writer = stream
    head = f"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: {BATCH}\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(int(row.split(b":")[1]) for row in answer.split(b"\r\n") if row.startswith(b"content-length"))
    said = await reader.readexactly(length)
    if not answer.startswith(b"HTTP/1.1 202"):
        raise RuntimeError(f"refused: {answer!r} {said!r}")


def batch_of(round_: str, first: int, size: int, at: float, keys: int) -> bytes:
    """Return a batch of events; their data say when they are meant to be sent."""
    common = {"specversion": "1.0", "type": "measured", "source": f"/{round_}", "data": {"at": at, "n": 1234.5}}
    events = [{**common, "id": str(n), "partitionkey": f"k{n % keys}"} for n in range(first, first + size)]
    return json.dumps(events).encode()


async def flood(port: int, count: int, size: int, connections: int, keys: int, source: str = "flood") -> float:
    """Publish as fast as it is answered; return when it began, Unix time."""
    now = time.time()
    bodies = [batch_of(source, first, size, now, keys) for first in range(0, count, size)]
    streams = [await connect(port) for _ in range(connections)]
    began = time.time()

    async def one(stream: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        while bodies:
            await publish(stream, bodies.pop())

    await asyncio.gather(*(one(stream) for stream in streams))
    for _, writer in streams:
        writer.close()
    return began


async def pace(port: int, count: int, size: int, rate_per_s: float, keys: int) -> float:
    """Publish by a plan; return the largest lateness of the client, seconds."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(64):
        free.put_nowait(await connect(port))
    began, late_s = time.time() + 0.1, 0.0
    running: set[asyncio.Task[None]] = set()

    async def one(body: bytes) -> None:
        stream = await free.get()
        await publish(stream, body)
        free.put_nowait(stream)

    for first in range(0, count, size):
        moment = began + first / rate_per_s
        body = batch_of("pace", first, size, moment, keys)
        await asyncio.sleep(max(0.0, moment - time.time()))
        late_s = max(late_s, time.time() - moment)
        task = asyncio.get_running_loop().create_task(one(body))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return late_s


def measure(options: argparse.Namespace, together: int) -> dict[str, Any]:
    """Run both rounds and return their figures."""
    with tempfile.TemporaryDirectory(prefix="skerry-events-", dir=options.folder) as folder:
        place = Place(Path(folder), together)
        try:
            asyncio.run(flood(place.port, options.size * 20, options.size, 1, options.keys, source="warm"))
            place.wait(options.size * 20, 60)  # warm: workers are there
            place.forget()
            began = asyncio.run(flood(place.port, options.events, options.size, options.connections, options.keys))
            moments = place.wait(options.events, 300)
            rate_per_s = options.events / (max(arrival for _, arrival in moments) - began)
            place.forget()
            count = int(options.seconds * BAR_PER_S / 2) // options.paced_size * options.paced_size
            late_s = asyncio.run(pace(place.port, count, options.paced_size, BAR_PER_S / 2, options.keys))
            latencies = sorted((arrival - at) * 1000 for at, arrival in place.wait(count, 300))
        finally:
            place.close()
    return {
        "together": together,
        "rate_per_s": rate_per_s,
        "latency_ms": spread(latencies),
        "within_bar_ratio": sum(value <= BAR_MS for value in latencies) / len(latencies),
        "p999_ms": latencies[math.ceil(len(latencies) * BAR_RATIO) - 1],
        "client_late_ms": late_s * 1000,
    }


def main() -> None:
    """Measure, say it, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="of the throughput round")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the latency round")
    parser.add_argument("--size", type=int, default=100, help="events in a request of the throughput round")
    parser.add_argument("--paced-size", type=int, default=10, help="events in a request of the latency round")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--keys", type=int, default=1000, help="different partition keys")
    parser.add_argument("--together", type=int, nargs="*", default=[1, 100], help="events in a call of the function")
    parser.add_argument("--folder", default=None, help="where the engine's folder is made")
    options = parser.parse_args()
    found = [measure(options, together) for together in options.together]
    for one in found:
        print(f"\nfunction takes {one['together']} at a time, client sends {options.size} in a request")
        print(f"  accepted and dispatched: {one['rate_per_s']:.0f} events/s (bar {BAR_PER_S:.0f})")
        print(
            f"  at half the bar, {options.paced_size} in a request: {one['within_bar_ratio'] * 100:.3f} % within "
            f"{BAR_MS} ms (bar 99.9 %), p99.9 {one['p999_ms']:.1f} ms, client late {one['client_late_ms']:.1f} ms"
        )
        print("  " + line("latency", one["latency_ms"], "ms"))
    settings = {key: value for key, value in vars(options).items() if key != "folder"}
    path = save("events", {"facts": facts(["skerry", "uvloop", "orjson"]), "settings": settings, "rounds": found})
    print(f"\n{path}")


if __name__ == "__main__":
    main()
