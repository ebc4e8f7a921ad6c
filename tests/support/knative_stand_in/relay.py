"""One HTTP/1.1 request passed on to a pod, and its answer passed back, while the caller is watched for leaving."""

import asyncio
import contextlib
from dataclasses import dataclass

PIECE_BYTES = 1 << 16
LAST_CHUNK = b"0\r\n\r\n"
HOP = ("connection", "keep-alive", "proxy-connection")


class LeftError(Exception):
    """The caller has left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """First line and headers of a message, names in lower case."""

    first: str
    headers: list

    def get(self, name):
        return next((value for found, value in self.headers if found == name), None)

    @property
    def host(self):
        return (self.get("host") or "").partition(":")[0].lower()

    @property
    def length(self):
        return int(self.get("content-length") or 0)

    @property
    def is_chunked(self):
        return "chunked" in (self.get("transfer-encoding") or "").lower()

    @property
    def keeps_alive(self):
        return "HTTP/1.1" in self.first and "close" not in (self.get("connection") or "").lower()

    def encode(self, connection):
        kept = [(name, value) for name, value in self.headers if name not in HOP]
        lines = [self.first, *(f"{name}: {value}" for name, value in kept), f"connection: {connection}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


async def read_head(reader, rest=b""):
    """Read the head of a message; None at the end of the stream before one has begun."""
    try:
        data = rest + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not (rest + error.partial).strip():
            return None
        raise
    first, *lines = data.decode("latin-1").strip().split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return Head(first=first, headers=[(name.strip().lower(), value.strip()) for name, _, value in pairs])


async def relay(head, reader, writer, upstream, *, timeout_s):
    """Pass a request to ``upstream`` and its answer back.

    Returns:
        What was read of the next request, None when the connection has to end.
    """
    from_pod, to_pod = upstream
    to_pod.write(head.encode("close"))
    sending = asyncio.create_task(_copy_body(head, reader, to_pod))
    answering = asyncio.create_task(_answer(head, from_pod, writer, timeout_s))
    watching = None
    try:
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():  # the request is sent: what comes of the caller now is the next one, or the end
            sending.result()
            watching = asyncio.create_task(reader.read(1))
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done() and not watching.result():
                raise LeftError
        keeps = await answering
    finally:
        for task in (sending, answering):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, asyncio.IncompleteReadError, LeftError):
                await task
    return await _rest(watching) if keeps and head.keeps_alive and sending.done() else None


async def _rest(watching):
    if watching is None:
        return b""
    if not watching.done():
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await watching
        return b""
    return watching.result()


async def _copy_body(head, reader, writer):
    if head.is_chunked:
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            writer.write(line + await reader.readexactly(size + 2))
            await writer.drain()
            if size == 0:
                return
    left = head.length
    while left:
        data = await reader.read(min(left, PIECE_BYTES))
        if not data:
            raise LeftError
        left -= len(data)
        writer.write(data)
        await writer.drain()


async def _answer(head, from_pod, writer, timeout_s):
    """Pass an answer back; return whether the caller can tell where it ends."""
    try:
        async with asyncio.timeout(timeout_s):
            answer = await read_head(from_pod)
            while answer is not None and answer.first.split()[1].startswith("1"):
                writer.write(answer.encode("keep-alive"))
                answer = await read_head(from_pod)
    except TimeoutError:
        body = b"request timeout"
        writer.write(
            b"HTTP/1.1 504 Gateway Timeout\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        return False
    if answer is None:
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        return False
    is_framed = answer.is_chunked or answer.get("content-length") is not None
    keeps = head.keeps_alive and is_framed and not head.first.startswith("HEAD ")
    writer.write(answer.encode("keep-alive" if keeps else "close"))
    passed, tail = 0, b""
    while data := await from_pod.read(PIECE_BYTES):
        passed, tail = passed + len(data), (tail + data)[-len(LAST_CHUNK) :]
        writer.write(data)
        await writer.drain()
    is_whole = tail == LAST_CHUNK if answer.is_chunked else passed == answer.length  # else the pod has cut it
    return keeps and is_whole
