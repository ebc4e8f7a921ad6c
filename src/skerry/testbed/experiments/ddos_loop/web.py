"""The victim's service, and the clients that open new connections to it: two processes in one module."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from skerry.testbed.experiments.ddos_loop.saying import say
from skerry.testbed.experiments.ddos_loop.star import CLIENTS, PORT, VICTIM

ANSWER_WITHIN_S = 1.0
BACKLOG = 256
PAGE = b"x" * 1000


class Server:
    """Answers a page, to so many clients at the same time as it has places.

    Args:
        places: How many; whoever comes when all are taken waits.
        patience_s: How long it waits for a request.
    """

    def __init__(self, places: int, patience_s: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._patience_s = patience_s

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            async with self._places:
                await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self._patience_s)
                writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def serve(settings: dict[str, Any]) -> None:
    """Serve until interrupted."""
    server = Server(settings["places"], settings["patience_s"])
    listening = await asyncio.start_server(server.answer, VICTIM, PORT, backlog=BACKLOG)
    say(ready=True)
    async with listening:
        await listening.serve_forever()


async def ask(source: str) -> bool:
    """Open a connection and get the page; return whether it came in time."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(VICTIM, PORT, local_addr=(source, 0))
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            return b"200" in await reader.read(100)
    except OSError:  # a TimeoutError is one
        return False
    finally:
        if writer is not None:
            writer.close()


async def visit(settings: dict[str, Any]) -> None:
    """Open so many connections a second, from one address after the other, until interrupted."""
    sources = CLIENTS[settings["first"] : settings["first"] + settings["sources"]]
    tasks: set[asyncio.Task[None]] = set()

    async def visit_once(source: str) -> None:
        began_s = time.monotonic()
        answered = await ask(source)
        say(at_s=round(began_s, 4), source=source, answered=answered, took_s=round(time.monotonic() - began_s, 4))

    say(ready=True)
    began_s, number = time.monotonic(), 0
    while True:
        task = asyncio.create_task(visit_once(sources[number % len(sources)]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
        await asyncio.sleep(max(0.0, began_s + number / settings["per_s"] - time.monotonic()))


def main() -> None:
    """Run one of the two."""
    settings = json.loads(sys.argv[1])
    try:
        asyncio.run(serve(settings) if settings["role"] == "server" else visit(settings))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
