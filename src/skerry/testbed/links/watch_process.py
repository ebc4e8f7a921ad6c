"""``python -m skerry.testbed.links.watch_process PROCESSOR``: says when a processor was slow, until its input ends.

It sleeps and wakes once a millisecond, above the priority of links and of what measures them: nothing of Skerry can
delay it, so that it is late only where the machine is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from select import select

from skerry.testbed.links.figures import summarise
from skerry.testbed.links.priority import WATCH_PRIORITY, take_priority
from skerry.testbed.links.spells import EVERY_S, slow_spans

# Some 5 us of work, whose time tells how fast the processor is.
STEPS = range(50)


def watch() -> list[tuple[float, float, float]]:
    """Return when each wake was to be (wall clock), how late it was, and how long a piece of work took; seconds."""
    wakes: list[tuple[float, float, float]] = []
    clock = time.time
    due_s = clock()
    while True:
        due_s = max(due_s + EVERY_S, clock())
        if select([sys.stdin], [], [], max(0.0, due_s - clock()))[0]:
            return wakes
        woke_s, total = clock(), 0
        for number in STEPS:
            total += number
        wakes.append((due_s, woke_s - due_s, clock() - woke_s))


def main() -> int:
    """Watch one processor."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    scheduling = take_priority(WATCH_PRIORITY)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    wakes = watch()
    late = summarise([late_s * 1000 for _, late_s, _ in wakes])
    sys.stdout.write(json.dumps({"scheduling": scheduling, "late": late, "slow": slow_spans(wakes)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
