"""The measuring client of ``benchmarks.events``: batches over keep-alive connections, as it is planned or as it goes.

Bodies are made before a round begins, and the client's collector of cycles rests meanwhile: what the client does during
a round is a write and a read for each request. It notes when each request was meant to leave, when the client turned to
it and when its 202 came, so that a client that is late, for it shares the processors with the engine, is seen.
"""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

import uvloop

T = TypeVar("T")
BATCH = "application/cloudevents-batch+json"


class Sent(NamedTuple):
    """One request with events; times are Unix seconds.

    Args:
        meant_s: When the plan has it leave.
        woke_s: When the client turned to it; from then on it waits for the engine alone, be it for a connection.
        answered_s: When its 202 came.
    """

    meant_s: float
    woke_s: float
    answered_s: float


class Connection(asyncio.Protocol):
    """A keep-alive connection with one request at a time."""

    def __init__(self) -> None:
        self.transport: Any = None
        self._answer: asyncio.Future[float] | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = transport

    def send(self, request: bytes) -> asyncio.Future[float]:
        """Send a request; the future is the moment of its 202."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Take an answer, perhaps in pieces."""
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or self._answer is None:
            return
        length = next(int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.startswith(b"content-length"))
        if len(body) < length:
            return
        self._read = b""
        if head.startswith(b"HTTP/1.1 202"):
            self._answer.set_result(time.time())
        else:
            self._answer.set_exception(RuntimeError(f"refused: {head!r} {body!r}"))


def requests_of(source: str, count: int, size: int, rate_per_s: float, keys: int) -> list[bytes]:
    """Return requests with batches of events, whose data say after how many seconds of the round they are meant."""
    found = []
    for first in range(0, count, size):
        common = {"specversion": "1.0", "type": "measured", "source": f"/{source}"}
        data = {"at": first / rate_per_s, "n": 1234.5}
        events = [
            {**common, "data": data, "id": str(n), "partitionkey": f"k{n % keys}"} for n in range(first, first + size)
        ]
        body = json.dumps(events).encode()
        head = f"POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: {BATCH}\r\ncontent-length: {len(body)}\r\n\r\n"
        found.append(head.encode() + body)
    return found


async def _connect(port: int, count: int) -> list[Connection]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(count)]


async def _flood(port: int, requests: list[bytes], connections: int) -> float:
    left = deque(requests)
    opened = await _connect(port, connections)
    began_s = time.time()

    async def one(connection: Connection) -> None:
        while left:
            await connection.send(left.popleft())

    await asyncio.gather(*map(one, opened))
    for connection in opened:
        connection.transport.close()
    return began_s


async def _pace(port: int, requests: list[bytes], every_s: float, connections: int) -> tuple[float, list[Sent]]:
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in await _connect(port, connections):
        free.put_nowait(connection)
    sent: list[Sent] = []
    began_s = time.time() + 0.1

    async def one(request: bytes, meant_s: float) -> None:
        woke_s = time.time()
        connection = await free.get()
        sent.append(Sent(meant_s, woke_s, await connection.send(request)))
        free.put_nowait(connection)

    running: set[asyncio.Task[None]] = set()
    for number, request in enumerate(requests):
        meant_s = began_s + number * every_s
        await asyncio.sleep(max(0.0, meant_s - time.time()))
        task = asyncio.get_running_loop().create_task(one(request, meant_s))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return began_s, sent


def flood(port: int, requests: list[bytes], connections: int) -> float:
    """Publish as fast as it is answered; return when it began, Unix time."""
    return _quietly(_flood(port, requests, connections))


def pace(port: int, requests: list[bytes], every_s: float, connections: int = 64) -> tuple[float, list[Sent]]:
    """Publish by a plan, whatever becomes of the requests before; return its begin, Unix time, and what was sent."""
    return _quietly(_pace(port, requests, every_s, connections))


def _quietly(work: Coroutine[Any, Any, T]) -> T:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        return uvloop.run(work)
    finally:
        gc.enable()
        gc.unfreeze()
