"""How connections to NATS end, whatever has become of the server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nats.aio.client import Client

PART_S: Final = 5.0


async def part(client: Client) -> None:
    """Close a client; one that waits for a server that says nothing is left to itself."""
    # It sends what is left, into a socket that may be gone: what it raises then is the event loop's, of any kind.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(PART_S):
            await client.close()
