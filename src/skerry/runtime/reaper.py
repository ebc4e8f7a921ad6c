"""Notices the end of child processes, those inherited as orphans included, and leaves no zombies."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

Ended = Callable[[int], None]
ORPHAN_PERIOD_S = 5.0
UNKNOWN_CODE = 256  # no process ends with it


class Reaper:
    """Waits for every child of this process; tells who asked for it.

    Each watched process is followed through a pidfd, which the event loop polls like a socket. What handlers leave
    behind falls to this process as orphans, which are waited for every few seconds.

    Exit codes are the process's own, or minus the number of the signal that ended it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: dict[int, tuple[int, Ended]] = {}  # process -> its pidfd, and who is told
        self._unclaimed: set[int] = set()  # ended children of our own session that the last look found
        self._timer = loop.call_later(ORPHAN_PERIOD_S, self._reap_orphans)

    def watch(self, pid: int, on_end: Ended) -> None:
        """Call ``on_end(exit_code)`` once, when the child has ended and has been waited for."""
        try:
            pidfd = os.pidfd_open(pid)  # a child that ended already is still there until it is waited for
        except ProcessLookupError:  # it was, as an orphan
            self._loop.call_soon(on_end, UNKNOWN_CODE)
            return
        self._watched[pid] = pidfd, on_end
        self._loop.add_reader(pidfd, self._ended, pid)

    def await_end(self, pid: int, limit_s: float) -> None:
        """Wait for the end of a watched process that is about to end, and tell it before this returns.

        The event loop waits too: it is for a process that has closed its connections, whose end is a matter of
        microseconds.
        """
        if pid not in self._watched:
            return
        poll = select.poll()
        poll.register(self._watched[pid][0], select.POLLIN)
        if poll.poll(limit_s * 1000):
            self._ended(pid)

    def close(self) -> None:
        """Stop noticing."""
        self._timer.cancel()
        for pidfd, _ in self._watched.values():
            self._loop.remove_reader(pidfd)
            os.close(pidfd)
        self._watched.clear()

    def _ended(self, pid: int) -> None:
        pidfd, on_end = self._watched.pop(pid)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        on_end(os.waitstatus_to_exitcode(status))

    def _reap_orphans(self) -> None:
        self._timer = self._loop.call_later(ORPHAN_PERIOD_S, self._reap_orphans)
        unclaimed = set()
        for pid in _children():
            if pid in self._watched or not _has_ended(pid):
                continue
            # One of our own session was started by this process, somewhere: whoever did that waits for it. An orphan of
            # the zygote looks the same; what nobody has waited for in a whole period is nobody's.
            if os.getsid(pid) == os.getsid(0) and pid not in self._unclaimed:
                unclaimed.add(pid)
            else:
                os.waitpid(pid, 0)
        self._unclaimed = unclaimed


def _children() -> list[int]:
    """Return the children of this process; they are listed by the thread that they belong to."""
    found: list[int] = []
    for thread in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                found.extend(int(pid) for pid in file.read().split())
        except OSError:  # the thread has just ended, and its children belong to another
            continue
    return found


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody has just waited for it
        return False
