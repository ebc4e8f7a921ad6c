"""The front's hand on the template of one pool: started with the first worker, ended after the last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgpack

from skerry.errors import SkerryError, StartError, from_problem
from skerry.runtime.confinement import share_bytes
from skerry.runtime.nursery import Nursery
from skerry.runtime.ordering import order_worker
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.runtime.worker_handle import Worker

logger = logging.getLogger(__name__)
PACKET_BYTES = 1 << 18


class TemplateOwner(Protocol):
    """What a template's hand needs of its pool."""

    workers: set[Worker]
    notify: Callable[[str, dict[str, Any]], None]

    def start_failed(self, worker: Worker | None, error: SkerryError) -> None:
        """Note that a start has failed, and try again after a pause."""

    def lose_order(self) -> None:
        """Ask once more for what the zygote has lost."""

    def load_in_workers(self) -> None:
        """Ask the nursery for workers from now on, and for those that are missing."""


class Template:
    """Makes workers as a nursery does, from a process that has loaded the handler.

    The process is begun by the first order. A later order begins another, when the first has been ended or has died;
    its workers go on without it.

    Args:
        owner: Who asks for workers.
        function: What it loads, for messages.
        nursery: Where the process comes from.
        reaper: Notices its end.
        open_log: Returns a descriptor for its output; it is closed here.
    """

    def __init__(
        self,
        owner: TemplateOwner,
        function: str,
        *,
        nursery: Nursery,
        reaper: Reaper,
        open_log: Callable[[], int],
    ) -> None:
        self.pid: int | None = None
        self._owner = owner
        self._function = function
        self._nursery = nursery
        self._reaper = reaper
        self._open_log = open_log
        self._control: socket.socket | None = None
        self._is_ready = False
        self._is_refused = False
        self._alive: set[int] = set()  # processes that have not been waited for
        self._ended_one = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def spawn(self, target: Target, *, log_fd: int) -> tuple[socket.socket, mmap.mmap]:
        """Ask for a worker, and for the template first where there is none; arguments as of `Nursery.spawn`.

        Raises:
            OSError: the zygote cannot be started, or too many orders wait for the load.
        """
        packet = msgpack.packb({"asked_at_s": time.monotonic()})
        try:
            return order_worker(lambda fds: self._order(target, packet, fds), log_fd)
        except _RefusedError:
            return self._nursery.spawn(target, log_fd=log_fd)

    def hear(self) -> None:
        """Take what the process has said, its end included."""
        while self._control is not None:
            packet = _receive(self._control)
            if packet is None:
                return
            if not packet:
                self._lose()
                return
            try:
                self._take(msgpack.unpackb(packet))
            except Exception as error:  # whatever it is, code of the app may have sent it
                logger.warning("the template of %s says what no template says: %r", self._function, error)
                self.fail(StartError(f"function {self._function!r}: its template says what no template says"))

    def owes(self, worker: Worker) -> bool:
        """Return whether a worker has been asked of it, is still wanted, and has not begun."""
        return worker.is_order and not self._is_refused

    def fail(self, error: StartError) -> None:
        """End the process and what it owes, as one failed start."""
        self.end()
        self._end_orders()
        self._owner.start_failed(None, error)

    def lose_order(self, worker: Worker) -> None:
        """Settle what it owes when one order has come to nothing: the process has said why, has died, or is broken."""
        self.hear()
        if self.owes(worker):
            self.fail(StartError(f"function {self._function!r}: a worker died when it was forked from the template"))

    def end(self) -> None:
        """End the process and what it has started, if there is one; workers go on."""
        control, self._control = self._control, None
        if control is None:
            return
        self._loop.remove_reader(control.fileno())
        if self.pid is None:
            packet = _receive(control)
            if packet:  # it has greeted in the meantime
                self._take(msgpack.unpackb(packet))
        control.close()
        pid, self.pid, self._is_ready = self.pid, None, False
        if pid in self._alive:
            _kill(pid)

    async def see_off(self, *, limit_s: float) -> None:
        """Wait for the end of processes that were ended, so that none outlives the event loop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._alive:
                    self._ended_one.clear()
                    await self._ended_one.wait()

    def memory_bytes(self) -> int:
        """Return its share of the machine's memory."""
        return 0 if self.pid is None else share_bytes(self.pid)

    def _order(self, target: Target, packet: bytes, fds: list[int]) -> None:
        try:
            socket.send_fds(self._running(target), [packet], fds)
        except ConnectionError:  # it has just died, and its end was not noticed yet
            self.hear()
            if self._is_refused:
                raise _RefusedError from None
            socket.send_fds(self._running(target), [packet], fds)

    def _running(self, target: Target) -> socket.socket:
        if self._control is None:
            log_fd = self._open_log()
            try:
                self._control = self._nursery.spawn_template(target, log_fd=log_fd)
            finally:
                os.close(log_fd)
            self._loop.add_reader(self._control.fileno(), self.hear)
        return self._control

    def _take(self, message: dict[str, Any]) -> None:
        if "pid" in message:
            pid = message["pid"]
            if self.pid is None:  # the first one comes before any code of the app; what follows is not believed
                self.pid = pid
                self._alive.add(pid)
                self._reaper.watch(pid, lambda code: self._ended(pid))
        elif "ready" in message:
            self._is_ready = True
            self._owner.notify("template_ready", {"pid": self.pid, "phases_ms": dict(message["ready"])})
        elif "refused" in message:
            reason = str(message["refused"])
            self.end()
            logger.warning("function %r: share_load is not possible: %s", self._function, reason)
            self._owner.notify("template_refused", {"reason": reason})
            self._is_refused = True
            self._end_orders()
            self._owner.load_in_workers()
        else:
            error = from_problem(message["failed"])
            self.fail(StartError(error.message, **error.details))

    def _lose(self) -> None:
        pid, was_ready = self.pid, self._is_ready
        self.end()
        if pid is None:  # the zygote died with the order
            self._end_orders()
            self._owner.lose_order()
            return
        self._owner.notify("template_lost", {"pid": pid})
        if not was_ready or any(map(self.owes, self._owner.workers)):  # else nobody misses it now
            doing = "forked a worker" if was_ready else "loaded"
            self.fail(StartError(f"function {self._function!r}: the template died while it {doing}"))

    def _end_orders(self) -> None:
        for worker in self._owner.workers:
            if worker.is_order:
                worker.kill()

    def _ended(self, pid: int) -> None:
        self._alive.discard(pid)
        self._ended_one.set()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what the load has started goes with it


class _RefusedError(Exception):
    """The template has said that it cannot be forked."""


def _receive(control: socket.socket) -> bytes | None:
    """Return what was said next: nothing yet (None), or nothing more (no bytes)."""
    while True:
        try:
            return control.recv(PACKET_BYTES)
        except BlockingIOError:
            return None
        except ConnectionResetError:
            continue  # told once: it died with orders unread; what it had said comes with the next call


def _kill(pid: int) -> None:
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            end(pid, signal.SIGKILL)
