"""The process that looks at an app, seen from the front: it says what the app is, and may become a worker of it."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from skerry.errors import AppImportError, SkerryError, SpecError, from_problem
from skerry.runtime.frames import FrameReader, Kind, encode_frame
from skerry.runtime.nursery import Nursery, WorkerSource
from skerry.runtime.target import Target

INSPECT_TIMEOUT_S = 120.0
READ_BYTES = 1 << 16


async def inspect_app(
    nursery: Nursery, target: Target, *, log_fd: int, orders: int = 1, said: Callable[[], str] = str
) -> dict[str, Any]:
    """Import an app in a process of its own and return its description (see `inspection.describe`).

    Args:
        nursery: Where the process comes from.
        target: The app.
        log_fd: The log.
        orders: How many zygotes may die with the order before it is given up.
        said: Returns what the log holds, for the error of an import that dies or takes too long, as its ``traceback``.

    Raises:
        AppImportError: its import fails, or takes longer than two minutes.
        SpecError: its functions declare what does not go together.
    """
    for _ in range(orders):
        link, progress = nursery.spawn(target, log_fd=log_fd)
        try:
            description = await read_description(link, target, said=said)
        finally:
            link.close()
            progress.close()
        if description is not None:
            return description
    raise _died(target, said)


async def read_description(
    link: socket.socket, target: Target, *, said: Callable[[], str] = str
) -> dict[str, Any] | None:
    """Return what a process that was asked for says of the app; none when it never began: then its zygote has died.

    Args:
        link: The front's end of the socket to it; not blocking.
        target: What it was asked for.
        said: As for `inspect_app`.

    Raises:
        AppImportError: the app's import fails, or takes longer than two minutes.
        SpecError: its functions declare what does not go together.
    """
    loop = asyncio.get_running_loop()
    reader = FrameReader()
    pid: int | None = None
    try:
        async with asyncio.timeout(INSPECT_TIMEOUT_S):
            while data := await loop.sock_recv(link, READ_BYTES):
                for frame in reader.feed(data):
                    if frame.kind == Kind.HELLO:
                        pid = frame.meta["pid"]
                    elif frame.kind == Kind.RESULT:
                        description: dict[str, Any] = orjson.loads(frame.body)
                        return description
                    elif frame.kind == Kind.START_FAILED:
                        raise _inspection_error(from_problem(orjson.loads(frame.body)))
    except BaseException as error:
        if pid is not None and not isinstance(error, SkerryError):  # too late, or not wanted any more
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        if isinstance(error, TimeoutError):
            raise _failed(f"{target.module!r} was not imported within {INSPECT_TIMEOUT_S:g} s", said) from error
        raise
    if pid is None:
        return None
    raise _died(target, said)


def _died(target: Target, said: Callable[[], str]) -> AppImportError:
    return _failed(f"the process that imported {target.module!r} died", said)


def _failed(message: str, said: Callable[[], str]) -> AppImportError:
    text = said()
    return AppImportError(message, traceback=text) if text else AppImportError(message)


def _inspection_error(error: SkerryError) -> SkerryError:
    if isinstance(error, SpecError):
        return error
    return AppImportError(error.message, **error.details)


class FirstWorker:
    """A source of workers whose first one is the process that has looked at the app, where that may be.

    That process has imported the app before anybody knew what its functions ask for. It can be a worker of a function
    that asks for nothing which an import could notice: neither variables nor several processors.

    Args:
        link: The front's end of the socket to it.
        progress: Memory shared with it.
        target: As what it imported the app.
        nursery: Where all others come from.
    """

    def __init__(self, link: socket.socket, progress: mmap.mmap, target: Target, nursery: WorkerSource) -> None:
        self.late: frozenset[str] = frozenset()  # variables that no app reads before its functions load
        self._inherited = dict(os.environ)  # by the zygote too
        self._link: socket.socket | None = link
        self._progress = progress
        self._target = target
        self._nursery = nursery

    def suits(self, target: Target) -> bool:
        """Return whether the process that looked at the app is still to be had, and can be this worker."""
        return self._link is not None and may_become(self._target, target, inherited=self._inherited, late=self.late)

    def spawn(self, target: Target, *, log_fd: int) -> tuple[socket.socket, mmap.mmap]:
        """Ask for a worker; see `Nursery.spawn`."""
        link = self._link
        if link is not None and self.suits(target):
            meta = {"target": target.to_message(), "asked_at_s": time.monotonic()}
            with contextlib.suppress(OSError):  # it has died meanwhile
                link.sendall(encode_frame(Kind.WORK, 0, meta=meta))
                self._link = None
                return link, self._progress
        return self._nursery.spawn(target, log_fd=log_fd)

    def dismiss(self) -> None:
        """Let the process end, if it has not become a worker."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
            self._progress.close()


def may_become(
    inspected: Target, wanted: Target, *, inherited: Mapping[str, str], late: frozenset[str] = frozenset()
) -> bool:
    """Return whether a process that imported an app as one target can be a worker of another.

    Limits can be set after an import. Variables cannot, for the app may have read them, and neither can threads.

    Args:
        inspected: As what it imported the app.
        wanted: What is wanted.
        inherited: Variables that both have besides their own.
        late: Variables that no app reads while it is imported.
    """
    early = {name: value for name, value in wanted.environment.items() if name not in late}
    return (
        {**inherited, **early} == {**inherited, **inspected.environment}
        and wanted.cpu == inspected.cpu
        and (wanted.root, wanted.file, wanted.module, wanted.attribute)
        == (inspected.root, inspected.file, inspected.module, inspected.attribute)
    )
