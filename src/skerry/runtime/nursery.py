"""The front's side of a zygote: starts it, has it import libraries, and asks it for workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgpack

from skerry.runtime.ordering import order_worker
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target
from skerry.runtime.zygote_process import SEND_LIMIT_S, ZygoteProcess, launch, request_imports

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)
MAX_NAMES_BYTES = 50_000  # an import request travels as one packet
IMPORT_LIMIT_S = 60.0  # how long a zygote may import one request's libraries before it is taken for stuck


class WorkerSource(Protocol):
    """Where workers come from."""

    def spawn(self, target: Target, *, log_fd: int) -> tuple[socket.socket, mmap.mmap]:
        """Ask for a worker; see `Nursery.spawn`."""


class Nursery:
    """One zygote, started when first needed and again when it has died.

    A library whose import ends the zygote, or never ends, must not do so to every zygote that follows. Which one it
    was is not known of a request for many; the next zygote is therefore asked for one package at a time, and the
    package that it does not survive is left to the workers.

    Args:
        python: The interpreter of the environment.
        reaper: Notices its end.
        imports: Libraries to import ahead.
        environment: Variables of the zygote and, unless a worker sets its own, of all its workers.
        import_limit_s: How long the import of one request's libraries may take, seconds.
        first: A zygote of this environment that runs already.
        patience_s: How long nothing has to be asked of the zygote before it makes later forks cheaper; none means a
            moment. One that will hardly be forked again need not begin with that; see `settle`.
    """

    def __init__(
        self,
        python: Path | str,
        *,
        reaper: Reaper,
        imports: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        import_limit_s: float = IMPORT_LIMIT_S,
        first: ZygoteProcess | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._python = python
        self._reaper = reaper
        self._environment = dict(os.environ if environment is None else environment)
        self._imports: dict[str, None] = dict.fromkeys(imports)
        self._import_limit_s = import_limit_s
        self._patience_s = patience_s
        self._refused: set[str] = set()  # packages that start threads when imported, or end the zygote
        self._asked: deque[list[str]] = deque()  # requests that the zygote has not answered, the first one first
        self._one_by_one = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._control: socket.socket | None = None
        self.pid: int | None = None
        self.starts = 0
        if first is not None:
            self._adopt(first)

    def preload(self, names: Iterable[str]) -> None:
        """Have libraries imported ahead, now and whenever the zygote is started again."""
        new = [name for name in names if name not in self._imports and _package(name) not in self._refused]
        self._imports.update(dict.fromkeys(new))
        if self._control is not None:
            self._send_imports(new)

    def spawn(self, target: Target, *, log_fd: int) -> tuple[socket.socket, mmap.mmap]:
        """Ask for a worker.

        Returns:
            The front's end of its socket, not blocking, and the page in which it writes what it begins.

        Raises:
            OSError: the zygote cannot be started.
        """
        self._running()  # a start of its own is no part of the worker's
        packet = msgpack.packb({"spawn": target.to_message(), "asked_at_s": time.monotonic()})
        return order_worker(lambda fds: self._order(packet, fds), log_fd)

    def spawn_template(self, target: Target, *, log_fd: int) -> socket.socket:
        """Ask for a template, from which workers are forked.

        Returns:
            The front's end of its socket, not blocking.

        Raises:
            OSError: the zygote cannot be started.
        """
        self._running()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            packet = msgpack.packb({"template": target.to_message(), "asked_at_s": time.monotonic()})
            self._order(packet, [theirs.fileno(), log_fd])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def start(self) -> None:
        """Start the zygote now rather than when the first worker is wanted."""
        self._running()

    def settle(self) -> None:
        """Have the zygote make later forks cheaper as soon as nothing is asked of it, however patient it was."""
        if self._patience_s is not None:
            self._patience_s = None
            self._send_import([])

    def stop(self) -> None:
        """End the zygote; its workers go on."""
        self._disconnect()
        pid, self.pid = self.pid, None
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _order(self, packet: bytes, fds: list[int]) -> None:
        control = self._running()
        try:
            socket.send_fds(control, [packet], fds)
        except OSError:  # it has just died, and its end was not noticed yet
            self._lose("died")
            socket.send_fds(self._running(), [packet], fds)

    def _running(self) -> socket.socket:
        if self._control is not None:
            return self._control
        return self._adopt(launch(self._python, self._environment))

    def _adopt(self, process: ZygoteProcess) -> socket.socket:
        self._control, self.pid = process.control, process.pid
        self.starts += 1
        self._reaper.watch(process.pid, lambda code: self._ended(process.pid, code))
        asyncio.get_running_loop().add_reader(process.control.fileno(), self._read, process.control)
        if process.asked:
            self._asked.append(list(process.asked))
            self._watch()
        if self._patience_s is not None:
            self._send_import([])  # it is told with each request, and libraries there may be none
        self._send_imports([name for name in self._imports if name not in process.asked])
        return process.control

    def _send_imports(self, names: list[str]) -> None:
        batch: list[str] = []
        size = 0
        for name in _grouped(names) if self._one_by_one else names:
            other = self._one_by_one and batch and _package(batch[0]) != _package(name)
            if batch and (other or size + len(name) > MAX_NAMES_BYTES):
                self._send_import(batch)
                batch, size = [], 0
            batch.append(name)
            size += len(name)
        if batch:
            self._send_import(batch)

    def _send_import(self, batch: list[str]) -> None:
        if self._control is None:
            return
        with contextlib.suppress(OSError):  # it has just died; the next one is told when it starts
            request_imports(self._control, batch, patience_s=self._patience_s)
            self._asked.append(batch)
            if self._watchdog is None:
                self._watch()

    def _watch(self) -> None:
        """Give the request that the zygote works on its time from now on."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if self._asked:
            self._watchdog = asyncio.get_running_loop().call_later(self._import_limit_s, self._stuck)

    def _read(self, control: socket.socket) -> bool:
        """Take one answer; False when there is none."""
        control.setblocking(False)
        try:
            packet = control.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True  # it died with requests unread; the answers that it had sent come with the next call
        finally:
            control.settimeout(SEND_LIMIT_S)
        if not packet:
            asyncio.get_running_loop().remove_reader(control.fileno())
            return False
        self._take(msgpack.unpackb(packet))
        return True

    def _take(self, answer: dict[str, Any]) -> None:
        if self._asked:
            self._asked.popleft()
        for name, reason in answer["failed"].items():
            logger.info("the zygote cannot import %s ahead: %s", name, reason)
        for name in answer["threaded"]:
            logger.warning("%s starts threads when it is imported: each worker imports it for itself", name)
            self._refuse(_package(name))
            self._send_imports(list(self._imports))  # the zygote has begun again, without any library
        if not self._asked:
            self._one_by_one = False
        self._watch()

    def _refuse(self, package: str) -> None:
        self._refused.add(package)
        self._imports = {name: None for name in self._imports if _package(name) != package}

    def _ended(self, pid: int, code: int) -> None:
        if pid == self.pid:
            self.pid = None  # by now this may be the number of another process
            self._lose(f"ended ({code})")

    def _stuck(self) -> None:
        self._watchdog = None
        if self._control is not None and self._read(self._control):
            return  # it was this process that is late
        self._lose(f"imported for longer than {self._import_limit_s:g} s")

    def _lose(self, how: str) -> None:
        """Give a zygote up that has died or hangs, and see to it that the next one does not end like it."""
        control = self._control
        while control is not None and self._read(control):  # it may have answered before it died
            continue
        suspect = self._asked[0] if self._asked else []
        self.stop()
        advice = "another is started when it is needed"
        if suspect and self._one_by_one:
            package = _package(suspect[0])
            self._refuse(package)
            advice = f"{package} was being imported, and is left to the workers from now on"
        self._one_by_one = self._one_by_one or bool(suspect)
        logger.warning("the zygote of %s %s; %s", self._python, how, advice)

    def _disconnect(self) -> None:
        self._asked.clear()
        self._watch()
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()


def _package(module: str) -> str:
    return module.partition(".")[0]


def _grouped(names: list[str]) -> list[str]:
    """Return names with those of one package beside each other, packages in the order of their first name."""
    packages: dict[str, list[str]] = {}
    for name in names:
        packages.setdefault(_package(name), []).append(name)
    return [name for group in packages.values() for name in group]
