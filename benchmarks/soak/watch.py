"""What the engine's processes hold, over time."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.processes import Process

FRONT, ZYGOTE, WORKER = "front", "zygote", "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one process held at one moment.

    Args:
        pid: Its number.
        role: Front, zygote or worker.
        anonymous_bytes: Resident memory that is no file's, shared with a parent or not.
        private_bytes: Memory that it has for itself alone.
        descriptors: Open descriptors.
        threads: Threads.
    """

    pid: int
    role: str
    anonymous_bytes: int
    private_bytes: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """All processes at one moment.

    Args:
        at_s: Seconds since the load began.
        held: What each held.
    """

    at_s: float
    held: list[Held]


class Watch:
    """Takes samples until it is cancelled.

    Args:
        front: Process of the engine itself.
        members: Returns the engine's processes, itself among them.
        every_s: Seconds between samples.
    """

    def __init__(self, front: int, members: Callable[[], list[Process]], *, every_s: float) -> None:
        self.samples: list[Sample] = []
        self._front = front
        self._members = members
        self._every_s = every_s
        self._began_s = time.monotonic()

    async def run(self) -> None:
        """Take a sample now, and then one after the other."""
        self._began_s = time.monotonic()
        while True:
            self.samples.append(self.look())
            due_s = self._began_s + len(self.samples) * self._every_s
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))

    def look(self) -> Sample:
        """Return what all processes hold now; those that end meanwhile are left out."""
        held = []
        for process in self._members():
            try:
                held.append(_look_at(process.pid, self._role(process.pid)))
            except OSError:
                continue
        return Sample(at_s=time.monotonic() - self._began_s, held=held)

    def _role(self, pid: int) -> str:
        if pid == self._front:
            return FRONT
        # What a zygote forks begins a session of its own.
        return WORKER if os.getsid(pid) == pid else ZYGOTE


def _look_at(pid: int, role: str) -> Held:
    folder = Path(f"/proc/{pid}")
    status = _fields(folder / "status")
    private = _fields(folder / "smaps_rollup")
    return Held(
        pid=pid,
        role=role,
        anonymous_bytes=status["RssAnon"] * 1024,
        private_bytes=(private["Private_Clean"] + private["Private_Dirty"]) * 1024,
        descriptors=len(os.listdir(folder / "fd")),
        threads=status["Threads"],
    )


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers of a file of lines such as ``RssAnon:  1234 kB``."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        first = rest.split()[:1]
        if first and first[0].isdecimal():
            found[name] = int(first[0])
    return found
