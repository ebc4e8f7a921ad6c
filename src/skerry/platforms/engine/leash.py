"""Run the engine so that it ends when the process that started it ends, however that comes about.

Run as ``python -m skerry.platforms.engine.leash PARENT_PID FOLDER ARGUMENTS...``: the folder is removed when the engine
has ended, unless it is empty text; the arguments are the engine's.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import shutil
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask the kernel for a SIGTERM at the parent's death, then become the engine."""
    parent, folder = int(sys.argv[1]), sys.argv[2]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        # It ended before it could be watched.
        sys.exit(1)
    sys.argv[1:] = sys.argv[3:]
    try:
        runpy.run_module("skerry.engine", run_name="__main__", alter_sys=True)
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
