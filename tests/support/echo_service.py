"""A service behind real connections that answers with what it got, and a client for it."""

import asyncio
import contextlib

from skerry.errors import FunctionNotFoundError
from skerry.runtime.connection import Connection
from skerry.runtime.message import Response

LIMIT_BYTES = 1000


class EchoService:
    """Answers with what it got: at once, or when told to."""

    def __init__(self, *, at_once=True):
        self.connections = set()
        self.heads = {True: {}, False: {}}
        self.exchanges = []
        self.left = 0
        self._at_once = at_once
        self.arrived = asyncio.Event()

    def accept(self, exchange):
        if exchange.target == b"/nowhere":
            raise FunctionNotFoundError("nothing here")
        return LIMIT_BYTES

    def handle(self, exchange):
        self.exchanges.append(exchange)
        exchange.cancel = self._leave
        if self._at_once:
            self.answer(exchange)
        self.arrived.set()

    def answer(self, exchange):
        body = b"%s %s %s" % (exchange.method, exchange.target, exchange.body)
        exchange.reply(Response(body, content_type="text/plain"))

    def _leave(self):
        self.left += 1
        self.arrived.set()

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()


@contextlib.asynccontextmanager
async def serving(**options):
    service = EchoService(**options)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service, trusted=False), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield service, reader, writer
    finally:
        writer.close()
        server.close()
        for connection in list(service.connections):
            connection.finish()
            connection._transport.abort()


def post(target=b"/a", body=b"", *headers, version=b"1.1"):
    lines = [b"POST %s HTTP/%s" % (target, version), b"host: x", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def read_answer(reader, *, with_body=True):
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers.get("content-length", 0))) if with_body else b""
    return int(head[0].split()[1]), headers, body
