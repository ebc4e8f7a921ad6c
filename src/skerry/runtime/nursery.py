"""The front's side of a zygote: starts it, has it import libraries, and asks it for workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import mmap
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgpack

from skerry.runtime.confinement import thread_environment
from skerry.runtime.link import PROGRESS_BYTES
from skerry.runtime.reaper import Reaper
from skerry.runtime.target import Target

logger = logging.getLogger(__name__)
MAX_NAMES_BYTES = 50_000  # an import request travels as one packet
# ONNX Runtime reports home from a thread that it starts when imported (1.29 and later). The thread would keep the
# zygote from being forked, and no function should talk to anybody that its author did not name.
QUIET = {"ORT_DISABLE_TELEMETRY": "1"}


class Nursery:
    """One zygote, started when first needed and again when it has died.

    Args:
        python: The interpreter of the environment.
        reaper: Notices its end.
        imports: Libraries to import ahead.
        environment: Variables of the zygote and, unless a worker sets its own, of all its workers.
    """

    def __init__(
        self,
        python: Path,
        *,
        reaper: Reaper,
        imports: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._python = python
        self._reaper = reaper
        self._environment = dict(os.environ if environment is None else environment)
        self._imports: dict[str, None] = dict.fromkeys(imports)
        self._refused: set[str] = set()  # packages that start threads when imported
        self._control: socket.socket | None = None
        self.pid: int | None = None
        self.starts = 0

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
        control = self._running()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        progress_fd = os.memfd_create("skerry-progress", os.MFD_CLOEXEC)
        try:
            os.ftruncate(progress_fd, PROGRESS_BYTES)
            progress = mmap.mmap(progress_fd, PROGRESS_BYTES)
            request = {"spawn": target.to_message(), "asked_at_s": time.monotonic()}
            packet = msgpack.packb(request)
            fds = [theirs.fileno(), progress_fd, log_fd]
            try:
                socket.send_fds(control, [packet], fds)
            except OSError:  # it has just died, and its end was not noticed yet
                self.stop()
                socket.send_fds(self._running(), [packet], fds)
        finally:
            theirs.close()
            os.close(progress_fd)
        return ours, progress

    def start(self) -> None:
        """Start the zygote now rather than when the first worker is wanted."""
        self._running()

    def stop(self) -> None:
        """End the zygote; its workers go on."""
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()
        pid, self.pid = self.pid, None
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def _running(self) -> socket.socket:
        if self._control is not None:
            return self._control
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        ours.settimeout(10)
        environment = {**QUIET, **self._environment, **thread_environment(1)}
        process = subprocess.Popen(
            [str(self._python), "-P", "-m", "skerry.runtime.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        process.returncode = 0  # the reaper waits for it, not this object
        self._control, self.pid = ours, process.pid
        self.starts += 1
        pid = process.pid
        self._reaper.watch(pid, lambda code: self._ended(pid, code))
        asyncio.get_running_loop().add_reader(ours.fileno(), self._read, ours)
        self._send_imports(list(self._imports))
        return ours

    def _send_imports(self, names: list[str]) -> None:
        batch: list[str] = []
        size = 0
        for name in [*names, ""]:
            if batch and (not name or size + len(name) > MAX_NAMES_BYTES):
                with contextlib.suppress(OSError):  # it has just died; the next one is told when it starts
                    if self._control is not None:
                        self._control.send(msgpack.packb({"import": batch}))
                batch, size = [], 0
            batch.append(name)
            size += len(name)

    def _read(self, control: socket.socket) -> None:
        try:
            packet = control.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            asyncio.get_running_loop().remove_reader(control.fileno())
            return
        answer: dict[str, Any] = msgpack.unpackb(packet)
        for name, reason in answer["failed"].items():
            logger.info("the zygote cannot import %s ahead: %s", name, reason)
        for name in answer["threaded"]:
            logger.warning("%s starts threads when it is imported: each worker imports it for itself", name)
            self._refused.add(_package(name))
            self._imports = {n: None for n in self._imports if _package(n) != _package(name)}
            self._send_imports(list(self._imports))  # the zygote has begun again, without any library

    def _ended(self, pid: int, code: int) -> None:
        if pid != self.pid:
            return
        logger.warning("the zygote of %s ended (%s); another is started when it is needed", self._python, code)
        self.pid = None
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control.fileno())
            control.close()


def _package(module: str) -> str:
    return module.partition(".")[0]
