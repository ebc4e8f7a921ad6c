"""Run the engine so that it ends when the process that started it ends, however that comes about.

Run as ``python -m skerry.platforms.engine.leash PARENT_PID FOLDER ARGUMENTS...``: the folder is removed when the engine
has ended, unless it is empty text; the arguments are the engine's.
"""

from __future__ import annotations

import os
import runpy
import select
import shutil
import signal
import sys
import threading


def main() -> None:
    """Have the parent's death answered with a SIGTERM, then become the engine."""
    parent, folder = int(sys.argv[1]), sys.argv[2]
    try:
        watched = os.pidfd_open(parent)
    except ProcessLookupError:
        sys.exit(1)
    if os.getppid() != parent:
        # It ended before it could be watched.
        sys.exit(1)
    # Not the kernel's signal at a parent's death: that comes when the *thread* ends that has started this process.
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()
    sys.argv[1:] = sys.argv[3:]
    try:
        runpy.run_module("skerry.engine", run_name="__main__", alter_sys=True)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _end_with(parent: int) -> None:
    select.select([parent], [], [])
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
