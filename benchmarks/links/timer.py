"""``python -m benchmarks.links.timer``: how late this machine wakes a real-time process that does nothing else.

No emulation in user space is more exact than that; what is worse here is worse in every link.
"""

from __future__ import annotations

import json
import select
import sys
import time

from skerry.testbed.links.figures import summarise
from skerry.testbed.links.priority import take_priority

EVERY_S = 0.0005
COUNT = 10_000


def main() -> int:
    """Sleep and wake, and print how late that was."""
    scheduling = take_priority()
    late_ms = []
    due_s = time.monotonic()
    for _ in range(COUNT):
        due_s = max(due_s + EVERY_S, time.monotonic())
        select.select([], [], [], max(0.0, due_s - time.monotonic()))
        late_ms.append((time.monotonic() - due_s) * 1000)
    sys.stdout.write(json.dumps({"scheduling": scheduling, **summarise(late_ms)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
