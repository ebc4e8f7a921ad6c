"""Makes a process wake up when it asked to, and says how far the machine let it."""

from __future__ import annotations

import ctypes
import gc
import os

PR_SET_TIMERSLACK = 29
LINK_PRIORITY = 20
# Below that of links: what measures must not delay what it measures.
PROBE_PRIORITY = 10
# Above both: what watches the machine is late only where the machine is.
WATCH_PRIORITY = 30
FIFO = "fifo"
MCL_CURRENT_AND_FUTURE = 3


def take_priority(priority: int = LINK_PRIORITY) -> str:
    """Ask for real-time scheduling, exact timers and memory that stays; return the scheduling that was granted.

    Args:
        priority: Which real-time priority, 1 to 99.

    Returns:
        ``fifo``; or ``other``, where this process may not have real-time scheduling.
    """
    # Objects of a packet never form cycles, and a collection would make packets late.
    gc.collect()
    gc.freeze()
    gc.disable()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(1), 0, 0, 0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError:
        return "other"
    # Only then: who may not have the one has a limit on the other too, beyond which memory would be refused.
    libc.mlockall(MCL_CURRENT_AND_FUTURE)
    return FIFO
