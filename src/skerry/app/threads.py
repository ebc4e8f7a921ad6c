"""Calls that block, awaited: each runs in a thread, and cancelling the wait ends it."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from skerry.platforms.base import Cancellation

T = TypeVar("T")

# Threads that wait cost little; asyncio's own pool has a handful only, so that a fan-out would wait for itself.
MOST_THREADS = 256


async def in_thread(call: Callable[[], T], cancellation: Cancellation) -> T:
    """Run ``call()`` in a thread and wait for what it returns.

    Args:
        call: Blocks; ends soon once the switch is thrown.
        cancellation: Thrown when the wait is cancelled; the thread then ends on its own.
    """
    loop = asyncio.get_running_loop()
    running = loop.run_in_executor(_threads(os.getpid()), contextvars.copy_context().run, call)
    try:
        return await running
    except asyncio.CancelledError:
        cancellation.cancel()
        raise


@lru_cache(maxsize=1)
def _threads(pid: int) -> ThreadPoolExecutor:
    # One per process: the threads of a parent are not there after a fork.
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix=f"skerry-call-{pid}")
