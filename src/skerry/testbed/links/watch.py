"""Watches the machine while a link is measured, so that its own stops are told from faults of the link."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Self

from skerry.testbed.links.priority import FIFO
from skerry.testbed.links.spells import Spells

# A machine with more is not one whose stops last long.
MOST_PROCESSORS = 16


class Watch:
    """Processes that only sleep and wake, one on each processor, while the block runs."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for processor in sorted(os.sched_getaffinity(0))[:MOST_PROCESSORS]:
                self._running.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "skerry.testbed.links.watch_process", str(processor)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        start_new_session=True,
                    )
                )
            for process in self._running:
                if process.stdout is not None:
                    process.stdout.readline()  # it says when it has begun
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()
            process.communicate()
        self._running = []

    def end(self, begins_s: float, ends_s: float) -> tuple[Spells, dict[str, Any]] | None:
        """Stop watching, and return when the machine was slow, and the figures of a time.

        Args:
            begins_s: When that time began, wall clock.
            ends_s: When it ended.

        Returns:
            The slow spells, and as plain data ``slow_ratio`` (share of the time), ``spells``, ``longest_ms``, and by
            processor how ``late`` a process woke; None where there is no real-time scheduling, without which a busy
            machine looks like a slow one.
        """
        said: list[dict[str, Any]] = []
        for process in self._running:
            output, _ = process.communicate()  # its input ends, and with it the watch
            if process.returncode == 0:
                said.append(json.loads(output))
        self._running = []
        if not said or any(one["scheduling"] != FIFO for one in said):
            return None
        spells = Spells((begun_s, ended_s) for one in said for begun_s, ended_s in one["slow"])
        lasted_s = spells.within(begins_s, ends_s)
        return spells, {
            "slow_ratio": sum(lasted_s) / (ends_s - begins_s),
            "spells": len(lasted_s),
            "longest_ms": max(lasted_s, default=0.0) * 1000,
            "late": [one["late"] for one in said],
        }
