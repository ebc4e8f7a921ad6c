"""What a bare runtime has begun before it has imported its front: the door, the zygote, the look at the app.

Whoever comes from now on waits at the door, and is answered once the front and a worker are there.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import select
import socket
import time
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from skerry.runtime.contract import FUNCTION_VARIABLE, Contract
from skerry.runtime.inspecting import inspect_app, read_description
from skerry.runtime.nursery import Nursery
from skerry.runtime.ordering import order_worker
from skerry.runtime.target import Target
from skerry.runtime.zygote_process import ZygoteProcess

BACKLOG = 4096
ORDERS = 8  # each zygote that dies of a library leaves it to the workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What runs already.

    Args:
        contract: Where to listen and who we are.
        target: As what the zygote has been asked to look at the app.
        zygote: The zygote.
        link: The front's end of the socket to the process that looks.
        progress: Memory shared with it.
        door: The socket that listens; none for addresses that the front resolves.
        signals: Signals to stop that came before the event loop could take them; grows until then.
    """

    contract: Contract
    target: Target
    zygote: ZygoteProcess
    link: socket.socket
    progress: mmap.mmap
    door: socket.socket | None
    signals: list[int]

    async def describe(self, nursery: Nursery, stopping: asyncio.Event) -> dict[str, Any] | None:
        """Return what the app is; none when this process is told to stop meanwhile, and nobody waits at the door.

        Raises:
            AppImportError: the app's import fails, or takes too long.
            SpecError: its functions declare what does not go together.
        """
        looking = asyncio.ensure_future(self._look(nursery))
        told = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({looking, told}, return_when=asyncio.FIRST_COMPLETED)
            if not looking.done() and not self._is_awaited():
                return None
            return await looking
        finally:
            for task in (looking, told):
                if not task.done():
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task

    async def _look(self, nursery: Nursery) -> dict[str, Any]:
        description = await read_description(self.link, self.target)
        if description is not None:
            return description
        log_fd = os.dup(2)  # the zygote died with the order, of a library perhaps
        try:
            return await inspect_app(nursery, replace(self.target, stays=False), log_fd=log_fd, orders=ORDERS)
        finally:
            os.close(log_fd)

    def _is_awaited(self) -> bool:
        if self.door is None:
            return False
        poll = select.poll()
        poll.register(self.door.fileno(), select.POLLIN)
        return bool(poll.poll(0))


def begin(
    target: Target, contract: Contract, zygote: ZygoteProcess, *, function: str | None, signals: list[int]
) -> Beginning:
    """Open the door, and have the zygote look at the app as soon as it has imported its libraries.

    Args:
        target: The app.
        contract: Where to listen and who we are.
        zygote: The zygote.
        function: The one function to serve, none for all.
        signals: See `Beginning`.

    Raises:
        OSError: the address is in use or not this machine's, or there are no descriptors left.
    """
    door = _open_door(contract.host, contract.port)
    is_named = function is not None or (contract.service is not None and contract.revision is not None)
    environment = contract.variables(function or "") if is_named else {}
    if function is not None:
        environment[FUNCTION_VARIABLE] = function
    target = replace(target, environment=environment, with_schemas=False, stays=True)
    link, progress = _order(zygote.control, target)
    return Beginning(
        contract=contract,
        target=target,
        zygote=zygote,
        link=link,
        progress=progress,
        door=door,
        signals=signals,
    )


def _order(control: socket.socket, target: Target) -> tuple[socket.socket, mmap.mmap]:
    """Ask a zygote for a worker; where it has died already, the socket that is returned is at its end."""
    packet = msgpack.packb({"spawn": target.to_message(), "asked_at_s": time.monotonic()})

    def send(fds: list[int]) -> None:
        with contextlib.suppress(ConnectionError):
            socket.send_fds(control, [packet], fds)

    log_fd = os.dup(2)
    try:
        return order_worker(send, log_fd)
    finally:
        os.close(log_fd)


def _open_door(host: str, port: int) -> socket.socket | None:
    """Listen on an IPv4 address; other addresses are left to the event loop, which may make several sockets of one."""
    try:
        socket.inet_pton(socket.AF_INET, host)
    except OSError:
        return None
    door = socket.socket()
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((host, port))
        door.listen(BACKLOG)
    except OSError:
        door.close()
        raise
    return door
