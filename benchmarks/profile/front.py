"""The front's share: real connections, queue and metrics between transports and a worker that are played."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgpack

from skerry.runtime.call import Slot
from skerry.runtime.connection import Connection
from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.front import Front
from skerry.runtime.nursery import Nursery
from skerry.runtime.observing import Observing
from skerry.runtime.pool import WorkerPool
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec

CONNECTIONS = 32
PHASES = ("read", "hand over", "parse answers", "answer")
HANDLER_US = 3  # what the worker says that its handler ran
SERVICE_S = 1e-5
"""What a worker takes for a call, as the queue believes at first: so little that it hands over all that waits."""
JSON_BODY = b'{"message":"hello","number":42}'
MSGPACK_BODY: bytes = msgpack.packb({"message": "hello", "number": 42})


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A kind of request.

    Args:
        name: What the table calls it.
        body: The body; the answer has the same.
        content_type: Of the body.
        more: Makes the further lines of a head, anew for each request.
    """

    name: str
    body: bytes = JSON_BODY
    content_type: str = "application/json"
    more: Callable[[], str] = lambda: ""

    def request(self) -> bytes:
        """Return one request."""
        head = (
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\ncontent-type: {self.content_type}\r\n"
            f"{self.more()}Content-Length: {len(self.body)}\r\n\r\n"
        )
        return head.encode() + self.body


VARIANTS = (
    Variant(name="known head"),
    Variant(
        name="unknown head (fresh traceparent)",
        more=lambda: f"traceparent: 00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01\r\n",
    ),
    Variant(name="MessagePack", body=MSGPACK_BODY, content_type="application/msgpack"),
    Variant(name="deadline in the head", more=lambda: "Skerry-Timeout-Ms: 5000\r\n"),
)


class _Transport:
    """A client that takes every answer at once."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, data: bytes) -> None:
        self.last = data

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to close."""

    abort = close


class _Port:
    """A worker's connection that keeps what is sent to it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def running(self) -> int:
        return 0

    def cancel(self, number: int) -> None:
        """Nothing runs."""

    def poll(self, limit_s: float) -> bool:
        return False

    def kill(self) -> None:
        """There is no process."""

    def kill_traced(self) -> None:
        """There is no process."""


class FrontBench:
    """A front with one function, its metrics on, and `CONNECTIONS` clients that ask in step. Needs a running loop.

    Args:
        variant: What they ask.
        profile: Is told of the front's own work, not of the clients' and the worker's.
    """

    def __init__(self, variant: Variant, profile: cProfile.Profile | None = None) -> None:
        front = Front()
        self._variant = variant
        self._profile = profile
        self._pool = WorkerPool(
            FunctionSpec(name="echo"),
            Target(root=None, file=None, module="played", environment={}),
            nursery=cast(Nursery, None),  # nothing is started here, and so nothing ends
            reaper=cast(Reaper, None),
            open_log=lambda: os.dup(2),
            notify=lambda kind, details: None,
        )
        front.add_function(self._pool, alone=True)
        Observing(front, {}).observe(self._pool, "echo-1")
        self._port = _Port()
        self._slot = Slot(self._port)
        self._pool.dispatcher.worker_ready(self._slot)
        cast(Any, self._pool.dispatcher.sizing).service_s = SERVICE_S
        self._transports = [_Transport() for _ in range(CONNECTIONS)]
        self._connections = [Connection(front, trusted=False) for _ in range(CONNECTIONS)]
        for connection, transport in zip(self._connections, self._transports, strict=True):
            connection.connection_made(cast(asyncio.Transport, transport))
        self._worker, self._reader = FrameReader(), FrameReader()

    async def run(self, rounds: int) -> list[tuple[float, ...]]:
        """Let every client ask ``rounds`` times; return the seconds that each phase took, by round.

        Raises:
            RuntimeError: an answer is missing or wrong.
        """
        times = []
        for _ in range(rounds):
            requests = [self._variant.request() for _ in self._connections]
            times.append(self._round(requests))
            self._check()
            await asyncio.sleep(0)  # what the loop was asked to do meanwhile, it does between the rounds
        return times

    def close(self) -> None:
        """Let the clients leave."""
        for connection in self._connections:
            connection.connection_lost(None)

    def _round(self, requests: list[bytes]) -> tuple[float, ...]:
        pool, dispatcher, clock = self._pool, self._pool.dispatcher, time.perf_counter
        if self._profile is not None:
            self._profile.enable()
        began_s = clock()
        for connection, request in zip(self._connections, requests, strict=True):
            connection.data_received(request)
        read_s = clock()
        pool._pump()
        handed_s = clock()
        parse_s = answer_s = 0.0
        while self._port.sent:
            if self._profile is not None:
                self._profile.disable()
            answers = self._work()
            if self._profile is not None:
                self._profile.enable()
            before_s = clock()
            frames = self._reader.feed(answers)
            parsed_s = clock()
            dispatcher.heard(self._slot, frames)
            pool.wake()
            answered_s = clock()
            parse_s += parsed_s - before_s
            answer_s += answered_s - parsed_s
        if self._profile is not None:
            self._profile.disable()
        return read_s - began_s, handed_s - read_s, parse_s, answer_s

    def _work(self) -> bytes:
        """Be the worker: give back what was sent."""
        calls = self._worker.feed(b"".join(self._port.sent))
        self._port.sent.clear()
        return b"".join(
            encode_frame(Kind.RESULT, call.number, call.body, codec=call.codec, time=HANDLER_US) for call in calls
        )

    def _check(self) -> None:
        for transport in self._transports:
            if not (transport.last.startswith(b"HTTP/1.1 200 ") and transport.last.endswith(self._variant.body)):
                raise RuntimeError(f"{self._variant.name}: answered with {transport.last!r}")
            transport.last = b""


@contextlib.contextmanager
def opened(variant: Variant, profile: cProfile.Profile | None = None) -> Iterator[FrontBench]:
    """Make a `FrontBench`, and close it at the end."""
    bench = FrontBench(variant, profile)
    try:
        yield bench
    finally:
        bench.close()
