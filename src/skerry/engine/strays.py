"""Ends what a killed engine left behind: programs that its handlers had started.

The kernel ends zygotes and workers together with their engine, but not what those have started in turn. Whatever
descends from a zygote carries its mark, and nothing with this folder's mark can be right before the engine has begun.
"""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

from skerry.engine.home import Home

logger = logging.getLogger(__name__)
MARK = "SKERRY_SUPERVISED"  # the variable that zygotes are given; its value is the engine's socket


def end_strays(home: Home) -> int:
    """End the programs that handlers of this folder's engines have started and left; return how many.

    To be called with the folder locked, before any worker is started.
    """
    ended = 0
    spared = _own_line()
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid in spared or not _is_stray(folder, home):
            continue
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
        ended += 1
    if ended:
        logger.warning("ended %d processes that an engine before this one left behind", ended)
    return ended


def _own_line() -> set[int]:
    """Return this process and its ancestors: a handler may be what starts the next engine."""
    line: set[int] = set()
    pid = os.getpid()
    while pid > 0 and pid not in line:
        line.add(pid)
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:  # it has just ended, and its children have another parent
            break
    return line


def _is_stray(folder: Path, home: Home) -> bool:
    try:
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or belongs to somebody else
        return False
    return f"{MARK}=".encode() + os.fsencode(home.socket) in variables
