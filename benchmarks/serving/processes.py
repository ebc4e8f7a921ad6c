"""Processes of a server: all that came of it, their processor time, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SKERRY_BENCHMARK_SERVER"
STOP_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the kernel tells of a process.

    Args:
        pid: Its number.
        parent: Its parent's.
        started: When it started, in ticks since the machine did; tells it from a later one of the same number.
        cpu_ticks: User and system time, reaped children included.
        environment: Its variables as they were when it was started.
    """

    pid: int
    parent: int
    started: int
    cpu_ticks: int
    environment: frozenset[bytes]


class ServerProcess:
    """A server's first process and everything that comes of it.

    What belongs to it is recognised by a variable in its environment or by its parents, so that daemons which leave
    their session (Ray starts some) are counted and ended as well.

    Args:
        command: What to start.
        environment: Variables beside those of this process.
        folder: Where to run it, and where its output goes.
    """

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> None:
        mark = str(uuid.uuid4())
        self._mark = f"{VARIABLE}={mark}".encode()
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment, VARIABLE: mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def has_ended(self) -> bool:
        """Return whether the first process has ended."""
        return self._process.poll() is not None

    def cpu_s(self) -> float:
        """Return the processor time of all of it, user and system, reaped children included, in seconds."""
        return sum(process.cpu_ticks for process in self.members()) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End all of it: asked first, then killed.

        Raises:
            RuntimeError: something of it cannot be ended.
        """
        members = {(process.pid, process.started) for process in self.members()}
        if not self.has_ended():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        until = time.monotonic() + STOP_S
        while True:
            # What lost its parent just now is still known by its number and the moment of its start.
            there = all_processes()
            left = {process.pid for process in there if (process.pid, process.started) in members}
            left |= {process.pid for process in self._of(there)}
            if not left:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"processes {sorted(left)} do not end")
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def members(self) -> list[Process]:
        """Return all of it that lives."""
        return self._of(all_processes())

    def _of(self, there: list[Process]) -> list[Process]:
        members = {process.pid for process in there if self._mark in process.environment}
        if not self.has_ended():
            members.add(self._process.pid)
        while grown := {process.pid for process in there if process.parent in members} - members:
            members |= grown
        return [process for process in there if process.pid in members]


def all_processes() -> list[Process]:
    """Return the living processes that this user may look at."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: the state is field 0 and the parent 1; user and system time and
            # those of reaped children are 11 to 14; the start is 19.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if fields[0] != "Z":
            found.append(
                Process(
                    pid=int(folder.name),
                    parent=int(fields[1]),
                    started=int(fields[19]),
                    cpu_ticks=sum(map(int, fields[11:15])),
                    environment=frozenset(environment.split(b"\0")),
                )
            )
    return found
