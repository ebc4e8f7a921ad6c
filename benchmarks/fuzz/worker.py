"""Fuzzing of the front behind bad workers: a real front and real pools, whose workers are played here.

The workers of one function answer honestly; those of the other send damaged frames, frames of any kind at any time,
write nonsense to the shared page, or fall silent. Whatever they do: every request is answered, the good function always
rightly, bad workers are ended, and nothing is left over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Any

import uvloop

from benchmarks.fuzz.findings import Findings
from benchmarks.fuzz.mutation import FRAME_WORDS, mutate
from skerry.runtime.frames import Codec, Frame, FrameReader, Kind, encode_frame
from skerry.runtime.front import Front
from skerry.runtime.pool import WorkerPool
from skerry.runtime.progress import ANSWERS_AT, HELD, HELD_AT, PROGRESS, PROGRESS_BYTES
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.spec import FunctionSpec

CALLERS = 8
PATIENCE_S = 15.0
TIMEOUT_S = 0.15  # of the bad function, which falls silent now and then
REQUEST = b"POST /function/%b HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b"


class Players:
    """Where a pool's workers come from.

    Args:
        random: Where chance comes from.
        bad: Whether they misbehave.
    """

    def __init__(self, random: Random, *, bad: bool) -> None:
        self.said: list[bytes] = []  # by the last bad worker
        self.lives = 0
        self._random, self._bad = random, bad
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, target: Target, *, log_fd: int) -> tuple[socket.socket, mmap.mmap]:
        """Start a worker, as `Nursery.spawn` does."""
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        page = mmap.mmap(-1, PROGRESS_BYTES)
        self.lives += 1
        task = asyncio.get_running_loop().create_task(self._live(theirs, page))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ours, page

    async def stop(self) -> None:
        """End all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, link: socket.socket, page: mmap.mmap) -> None:
        loop = asyncio.get_running_loop()
        program = subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: ASYNC220  # it returns at once
        reader = FrameReader()
        meta: dict[str, Any] = {"phases_ms": {"fork": 1.0}}
        if self._bad:
            meta |= {name: self._random.random() < 0.2 for name in ("takes_items", "streams", "interruptible")}
        ready = encode_frame(Kind.READY, 0, meta=meta)
        if self._bad and self._random.random() < 0.02:
            ready = mutate(self._random, ready, FRAME_WORDS)
        try:
            with contextlib.suppress(OSError, ValueError):
                await loop.sock_sendall(link, encode_frame(Kind.HELLO, 0, meta={"pid": program.pid}))
                await loop.sock_sendall(link, ready)
                said: list[bytes] = []
                while data := await loop.sock_recv(link, 1 << 16):
                    for frame in reader.feed(data):
                        if frame.kind == Kind.STOP:
                            return
                        if frame.kind == Kind.CALL:
                            PROGRESS.pack_into(page, 0, frame.number)
                            answer = self._answer(frame, page)
                            if self._bad:
                                said.append(answer)
                                self.said = said
                            await loop.sock_sendall(link, answer)
        finally:
            link.close()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.returncode = 0  # the pool's reaper waits for it

    def _answer(self, call: Frame, page: mmap.mmap) -> bytes:
        random = self._random
        number = call.number
        if not self._bad or random.random() < 0.4:
            if self._bad and random.random() < 0.4:
                return self._stream(call)
            return encode_frame(Kind.RESULT, number, call.body)
        way = random.random()
        if way < 0.1:
            held = mutate(random, encode_frame(Kind.RESULT, number, call.body), FRAME_WORDS)[: PROGRESS_BYTES // 2]
            with contextlib.suppress(ValueError):
                page[ANSWERS_AT : ANSWERS_AT + len(held)] = held
                HELD.pack_into(page, HELD_AT, random.choice([len(held), 0xFFFFFFFF, PROGRESS_BYTES, 3]))
        if way < 0.13:
            return b""  # it falls silent
        if way < 0.5:
            honest = random.choice([encode_frame(Kind.RESULT, number, call.body), self._stream(call)])
            return mutate(random, honest, FRAME_WORDS)
        return b"".join(self._any_frame(number) for _ in range(random.randint(1, 4)))

    def _stream(self, call: Frame) -> bytes:
        random = self._random
        kind = random.choice(["application/x-ndjson", "text/event-stream", "application/msgpack"])
        frames = [encode_frame(Kind.STREAM, call.number, meta={"content_type": kind})]
        frames += [encode_frame(Kind.PIECE, call.number, call.body) for _ in range(random.randint(0, 3))]
        frames.append(encode_frame(Kind.END, call.number))
        return b"".join(frames)

    def _any_frame(self, number: int) -> bytes:
        random = self._random
        kinds = ["text/plain", 5, None, "a\r\nb: c", "text/event-stream"]
        headers: list[Any] = [{}, {"a": "b"}, {"a": 5}, {"a": "b\r\nc: d"}, [], "x", {"content-length": "1"}]
        choices: list[dict[str, Any] | None] = [
            None,
            {"status": random.choice([200, 404, 500, 999, -1, "x", None])},
            {"content_type": random.choice(kinds)},
            {"headers": random.choice(headers)},
            {"pid": 1, "phases_ms": {}},
            {"x": [1, 2, {"y": None}]},
        ]
        meta = random.choice(choices)
        kind = random.choice([*Kind, 0, 99, 255])
        body = random.choice([b"", b"{}", b"1", random.randbytes(20)])
        which = random.choice([number, number, number, 0, number + 1, random.getrandbits(32)]) & 0xFFFFFFFF
        return encode_frame(kind, which, body, codec=random.choice([*Codec, 9, 255]), meta=meta)


class Log(logging.Handler):
    """Counts tracebacks: an exception that nobody handled."""

    def __init__(self, findings: Findings) -> None:
        super().__init__(logging.ERROR)
        self._findings = findings

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record that has one."""
        if record.exc_info:
            self._findings.add("worker", f"an exception was logged: {record.exc_info[1]!r}")


class WorkerFuzz:
    """One run."""

    def __init__(self, random: Random, findings: Findings) -> None:
        self.answered = {"good": 0, "bad": 0}
        self._random, self._findings = random, findings
        self._port = 0
        self._bad: Players | None = None

    async def run(self, seconds: float) -> dict[str, int]:
        """Fuzz for so long; return the figures."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._unhandled)
        reaper, front = Reaper(loop), Front()
        players = {name: Players(self._random, bad=name == "bad") for name in self.answered}
        self._bad = players["bad"]
        pools = [self._pool(name, players[name], reaper) for name in players]
        for pool in pools:
            front.add_function(pool)
            pool.set_desired(4)
        self._port = await front.listen("127.0.0.1", 0)
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._call(name, until) for name in self.answered for _ in range(CALLERS)))
        for pool in pools:
            await self._see_that_nothing_is_left(pool)
            await pool.stop(limit_s=2.0)
        await front.stop_listening()
        await front.finish(limit_s=1.0)
        for of_one in players.values():
            await of_one.stop()
        reaper.close()
        return {**{f"{name} answers": count for name, count in self.answered.items()}, "workers": players["bad"].lives}

    def _pool(self, name: str, players: Players, reaper: Reaper) -> WorkerPool:
        return WorkerPool(
            FunctionSpec(name=name, timeout=f"{TIMEOUT_S:g}s" if name == "bad" else "30s"),
            Target(root=None, file=None, module="m", attribute="app", environment={}),
            nursery=players,  # type: ignore[arg-type]  # it is one, as far as a pool can tell
            reaper=reaper,
            open_log=lambda: os.open(os.devnull, os.O_WRONLY),
            notify=lambda kind, detail: None,
        )

    async def _call(self, name: str, until: float) -> None:
        random = self._random
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                for _ in range(random.randint(1, 20)):
                    mark = b'"mark-%016x"' % random.getrandbits(64)
                    writer.write(REQUEST % (name.encode(), len(mark), mark))
                    if name == "bad" and random.random() < 0.05:
                        break  # it leaves
                    try:
                        async with asyncio.timeout(PATIENCE_S):
                            head = await reader.readuntil(b"\r\n\r\n")
                            body = await _read_body(reader, head)
                    except TimeoutError:
                        self._add(f"a request of the {name} function got no answer")
                        break
                    self.answered[name] += 1
                    self._judge(name, mark, head, body)
            writer.transport.abort()

    def _judge(self, name: str, mark: bytes, head: bytes, body: bytes) -> None:
        status = int(head.split()[1])
        if name == "good" and (status, body) != (200, mark):
            self._add(f"a good function's request was answered {status}")
        elif status not in (200, 429, 500, 502, 503, 504, 404):
            self._add(f"a bad function's request was answered {status}")
        if b"\r\nb: c" in head or b"\r\nc: d" in head:
            self._add("a worker wrote a header of its own")

    async def _see_that_nothing_is_left(self, pool: WorkerPool) -> None:
        until = time.monotonic() + 3 * TIMEOUT_S + 5
        while pool.dispatcher.in_system or pool.dispatcher.is_busy:
            if time.monotonic() > until:
                self._add(f"calls were left over: {pool.dispatcher.in_system}, busy: {pool.dispatcher.is_busy}")
                return
            await asyncio.sleep(0.05)

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._add(f"an exception nobody handled: {context.get('exception')!r}")

    def _add(self, what: str) -> None:
        self._findings.add("worker", what, self._bad.said[-3:] if self._bad is not None else [])


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    lowered = head.lower()
    if b"\r\ntransfer-encoding: chunked" in lowered:
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return body
    length = lowered.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
    return await reader.readexactly(int(length)) if length else b""


def fuzz_workers(seconds: float, seed: int, findings: Findings, folder: Path) -> dict[str, int]:
    """Fuzz a front with bad workers for so long; return the figures."""
    handler = Log(findings)
    logging.getLogger().addHandler(handler)
    try:
        return uvloop.run(WorkerFuzz(Random(seed), findings).run(seconds))
    finally:
        logging.getLogger().removeHandler(handler)
