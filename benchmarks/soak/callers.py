"""What the callers do, each over and over: one function for each kind of load.

Each takes a connection and its own random numbers, makes one visit, and raises `WrongError` where an answer is not
what it must be. What is asked for (a refusal under overload, an error of a handler that is told to fail) is no error.
"""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

from benchmarks.soak.client import Answer, Connection, head

Caller = Callable[[Connection, random.Random], Awaitable[None]]
LARGE_BYTES = 4 << 20
TOO_LARGE_BYTES = 11 << 20  # the default bound of a body is 10 MiB


class WrongError(Exception):
    """An answer is not what it must be."""


async def plain(connection: Connection, draw: random.Random) -> None:
    """Have values echoed, some with headers that say more about the call."""
    for _ in range(draw.randint(1, 20)):
        value = {"number": draw.randrange(10**9), "text": "x" * draw.randrange(200), "list": [draw.random()]}
        headers = draw.choice(
            [{}, {"priority": f"u={draw.randrange(8)}"}, {"skerry_timeout_ms": "30000"}, {"traceparent": _trace(draw)}]
        )
        expect(await connection.call("/function/echo", value, **headers), 200, value)


async def pipelined(connection: Connection, draw: random.Random) -> None:
    """Send several requests before the first is answered; the answers come in order."""
    numbers = [draw.randrange(1000) for _ in range(draw.randint(2, 12))]
    bodies = [str(number).encode() for number in numbers]
    await connection.write(b"".join(head("/function/square", len(body)) + body for body in bodies))
    for number in numbers:
        status, headers = await connection.read_head()
        body = b"".join([piece async for piece in connection.read_body(headers)])
        expect(Answer(status, headers, body), 200, number * number)


async def batched(connection: Connection, draw: random.Random) -> None:
    """Ask functions that are batched; negative numbers fail alone."""
    for _ in range(draw.randint(1, 20)):
        number = draw.randrange(1000) if draw.random() < 0.95 else -1 - draw.randrange(1000)
        path, right = draw.choice([("/function/halve", number / 2), ("/function/square", number * number)])
        headers = draw.choice(
            [{}, {"skerry_weight": f"{draw.uniform(0.5, 80):.2f}"}, {"skerry_group": draw.choice("abc")}]
        )
        answer = await connection.call(path, number, **headers)
        if number >= 0:
            expect(answer, 200, right)
        else:
            expect_code(answer, 500, "handler_failed")


async def streamed(connection: Connection, draw: random.Random) -> None:
    """Read streams to the end, in each form."""
    end = draw.choice([0, 1, 10, 1000, 20_000])
    accept = draw.choice(["application/x-ndjson", "text/event-stream", "application/msgpack"])
    answer = await connection.call("/function/count", end, accept=accept)
    if answer.status != 200 or _values(answer) != list(range(end)):
        raise WrongError(f"stream of {end} as {accept}: {answer.status} {answer.body[-200:]!r}")


async def abandoned(connection: Connection, draw: random.Random) -> None:
    """Leave a stream in the middle."""
    name, end = draw.choice([("count", 10_000_000), ("drip", 500)])
    async with asyncio.timeout(60):
        await connection.send(f"/function/{name}", end, accept="application/x-ndjson")
        status, headers = await connection.read_head()
        if status != 200:
            raise WrongError(f"stream: {status}")
        pieces, wanted = b"", draw.randrange(2, 40)
        async for piece in connection.read_body(headers):
            pieces += piece
            if pieces.count(b"\n") >= wanted:
                break
    whole = [int(line) for line in pieces.split(b"\n")[:-1]]
    if whole != list(range(len(whole))):
        raise WrongError(f"a stream that was left had {whole[:50]}")
    draw.choice([connection.reset, connection.close])()


async def broken(connection: Connection, draw: random.Random) -> None:
    """Read a stream whose handler fails in the middle: as events it ends with the error."""
    end = draw.randrange(1, 50)
    answer = await connection.call("/function/stumble", end, accept="text/event-stream")
    events, _, last = answer.body.rpartition(b"event: error\ndata: ")
    if answer.status != 200 or _values(Answer(200, answer.headers, events)) != list(range(end)):
        raise WrongError(f"broken stream: {answer.status} {answer.body[-300:]!r}")
    if json.loads(last)["code"] != "handler_failed":
        raise WrongError(f"broken stream: it ends with {last!r}")


async def left(connection: Connection, draw: random.Random) -> None:
    """Leave before the answer: in the middle of a request, or while it waits or runs."""
    leave = draw.choice([connection.reset, connection.close])
    if draw.random() < 0.3:
        await connection.write(head("/function/echo", 1000) + b"[" * draw.randrange(999))
    else:
        await connection.send(draw.choice(["/function/nap", "/function/work"]), draw.uniform(0.02, 0.3))
    await asyncio.sleep(draw.uniform(0, 0.1))
    leave()


async def late(connection: Connection, draw: random.Random) -> None:
    """Set deadlines; those that are too short are missed, and nothing but a missed deadline may come of them."""
    if draw.random() < 0.5:
        answer = await connection.call("/function/nap", 2.0, skerry_timeout_ms=str(draw.randrange(1, 200)))
        expect_code(answer, 504, None)
    else:
        answer = await connection.call("/function/work", 0.005, skerry_timeout_ms="20")
        if answer.status != 504:
            expect(answer, 200, 0.005)


async def asleep(connection: Connection, draw: random.Random) -> None:
    """Call a function that handles many at a time."""
    seconds = round(draw.uniform(0, 0.2), 3)
    expect(await connection.call("/function/nap", seconds), 200, seconds)


async def large(connection: Connection, draw: random.Random) -> None:
    """Send and get large bodies."""
    value = draw.randbytes(draw.randrange(LARGE_BYTES // 4, LARGE_BYTES // 2)).hex()
    answer = await connection.call("/function/carry", value)
    if answer.status != 200 or answer.json() != value:
        raise WrongError(f"large body of {len(value)}: {answer.status}, {len(answer.body)} bytes back")


async def job(connection: Connection, draw: random.Random) -> None:
    """Submit a job and wait for its result; some fail, some are cancelled."""
    number = draw.randrange(1000) if draw.random() < 0.9 else -1
    accepted = await connection.call("/function/task", number, prefer="respond-async")
    if accepted.status != 202:
        raise WrongError(f"job: {accepted.status} {accepted.body[:300]!r}")
    place = accepted.headers["location"]
    if draw.random() < 0.1:
        answer = await connection.call(place, b"", method="DELETE")
        if answer.status != 200 or answer.json()["status"] not in ("cancelled", "succeeded", "failed"):
            raise WrongError(f"cancelled job: {answer.status} {answer.body[:300]!r}")
        return
    answer = await connection.call(f"{place}/result?wait_s=30", b"", method="GET")
    if number >= 0:
        expect(answer, 200, number * 3)
    else:
        expect_code(answer, 500, "handler_failed")
    status = (await connection.call(place, b"", method="GET")).json()["status"]
    if status != ("succeeded" if number >= 0 else "failed"):
        raise WrongError(f"job: it is {status} after its result")


async def bad(connection: Connection, draw: random.Random) -> None:
    """Send what is wrong in itself, and be told so."""
    path, value, method, headers, status = draw.choice(BAD)
    answer = await connection.call(path, value, method=method, **headers)
    if answer.status != status:
        raise WrongError(f"bad input {path} {headers}: {answer.status} {answer.body[:300]!r} instead of {status}")


async def too_large(connection: Connection, draw: random.Random) -> None:
    """Announce more than is allowed; the server says so, or ends the connection while it is sent."""
    await connection.write(head("/function/echo", TOO_LARGE_BYTES) + b" " * draw.randrange(1, 1 << 16))
    async with asyncio.timeout(60):
        status, _ = await connection.read_head()
    if status != 413:
        raise WrongError(f"too large a body: {status}")
    connection.reset()


async def nonsense(connection: Connection, draw: random.Random) -> None:
    """Send what is no HTTP; the connection ends, with 400 or without a word."""
    await connection.write(draw.choice([b"\x16\x03\x01\x02\x00" + draw.randbytes(40), b"GET / HTTP/9\r\n\r\n\r\n"]))
    try:
        async with asyncio.timeout(60):
            status, _ = await connection.read_head()
    except (asyncio.IncompleteReadError, ConnectionResetError):
        status = 400
    if status not in (400, 505):
        raise WrongError(f"nonsense: {status}")
    connection.reset()


async def probe(connection: Connection, draw: random.Random) -> None:
    """Ask for health and metrics."""
    for path in ("/health/liveness", "/health/readiness"):
        answer = await connection.call(path, b"", method="GET")
        if answer.status != 200:
            raise WrongError(f"{path}: {answer.status} {answer.body[:300]!r}")
    await asyncio.sleep(draw.uniform(0.5, 1.5))


CALLERS: dict[str, tuple[Caller, int]] = {
    "plain": (plain, 4),
    "pipelined": (pipelined, 1),
    "batched": (batched, 8),
    "streamed": (streamed, 2),
    "abandoned": (abandoned, 2),
    "broken": (broken, 1),
    "left": (left, 3),
    "late": (late, 2),
    "asleep": (asleep, 6),
    "large": (large, 1),
    "job": (job, 2),
    "bad": (bad, 1),
    "too large": (too_large, 1),
    "nonsense": (nonsense, 1),
    "probe": (probe, 1),
}
"""Kinds of load, and how many at a time."""

BAD: tuple[tuple[str, Any, str, dict[str, str], int], ...] = (
    ("/function/square", b"{", "POST", {}, 400),
    ("/function/square", "seven", "POST", {}, 422),
    ("/function/halve", {"a": 1}, "POST", {}, 422),
    ("/function/none", 1, "POST", {}, 404),
    ("/nowhere", 1, "POST", {}, 401),  # what is there is nobody's business without the engine's token
    ("/function/echo", b"x", "POST", {"content_type": "image/unknown"}, 415),
    ("/function/echo", 1, "POST", {"skerry_timeout_ms": "soon"}, 400),
    ("/function/halve", 1, "POST", {"skerry_weight": "heavy"}, 400),
    ("/jobs/none", b"", "GET", {}, 404),
)


def expect(answer: Answer, status: int, value: Any) -> None:
    """Check status and value.

    Raises:
        WrongError: it is another.
    """
    if answer.status != status or answer.json() != value:
        raise WrongError(f"{answer.status} {answer.body[:300]!r} instead of {status} {str(value)[:300]}")


def expect_code(answer: Answer, status: int, code: str | None) -> None:
    """Check status and code of a problem; none is any code.

    Raises:
        WrongError: it is another.
    """
    problem = answer.json()
    found = problem.get("code") if isinstance(problem, dict) else None
    if answer.status != status or found is None or code not in (None, found):
        raise WrongError(f"{answer.status} {answer.body[:300]!r} instead of {status} {code}")


def _values(answer: Answer) -> list[Any]:
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "application/msgpack":
        unpacker = msgpack.Unpacker()
        unpacker.feed(answer.body)
        return list(unpacker)
    if kind == "text/event-stream":
        return [json.loads(event.removeprefix(b"data: ")) for event in answer.body.split(b"\n\n")[:-1]]
    return [json.loads(line) for line in answer.body.split(b"\n")[:-1]]


def _trace(draw: random.Random) -> str:
    return f"00-{draw.randrange(1, 2**128):032x}-{struct.pack('>Q', draw.randrange(1, 2**64)).hex()}-01"
