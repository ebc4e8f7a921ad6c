"""A small HTTP/1.1 client on asyncio that can leave in the middle of everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_S = 60.0  # longer than anything here may take
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value, or the body itself where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return self.body


class Connection:
    """One connection, opened when it is needed and kept while the server keeps it.

    Args:
        port: TCP port on 127.0.0.1.
        path: Unix socket instead.
    """

    def __init__(self, port: int, *, path: str | None = None) -> None:
        self._port = port
        self._path = path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, path: str, value: Any = None, *, method: str = "POST", **headers: str) -> Answer:
        """Send a request and return its answer; values other than bytes travel as JSON, ``_`` in headers is ``-``."""
        async with asyncio.timeout(ANSWER_S):
            await self.send(path, value, method=method, **headers)
            status, given = await self.read_head()
            body = b"".join([piece async for piece in self.read_body(given)])
            return Answer(status, given, body)

    async def send(self, path: str, value: Any = None, *, method: str = "POST", **headers: str) -> None:
        """Send a request."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        await self.write(head(path, len(body), method=method, **headers) + body)

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self._writer is None:
            opening = (
                asyncio.open_unix_connection(self._path)
                if self._path is not None
                else asyncio.open_connection("127.0.0.1", self._port)
            )
            self._reader, self._writer = await opening
        self._writer.write(data)
        await self._writer.drain()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """Return status and headers of the next answer."""
        assert self._reader is not None
        text = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(first.split()[1]), headers

    async def read_body(self, headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Yield the pieces of a body as they come."""
        assert self._reader is not None
        if headers.get("transfer-encoding") == "chunked":
            while length := int(await self._reader.readline(), 16):
                yield await self._reader.readexactly(length)
                await self._reader.readexactly(2)
            await self._reader.readline()
        elif length := int(headers.get("content-length", "0")):
            yield await self._reader.readexactly(length)
        if headers.get("connection") == "close":
            self.close()

    def reset(self) -> None:
        """Leave without a word: the server sees a reset."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    def close(self) -> None:
        """Leave in an orderly way."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def head(path: str, length: int, *, method: str = "POST", **headers: str) -> bytes:
    """Return the head of a request."""
    given = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in given.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"
