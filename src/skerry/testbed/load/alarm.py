"""A timer of the event loop with the resolution of the kernel's clock."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_MONOTONIC = 1
_NONBLOCKING_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_NS = 1_000_000_000


class _Spec(ctypes.Structure):
    """`struct itimerspec`: the interval, then the first expiry, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Calls back at a moment of the monotonic clock, to some 50 µs.

    The timers of the event loop count in whole milliseconds, which is more than many a function takes to answer.

    Args:
        loop: The loop that calls back.
        on_ring: Is called in the loop; it must set the alarm again, or `stop` it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_ring: Callable[[], None]) -> None:
        # `os.timerfd_create` came with Python 3.13.
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_MONOTONIC, _NONBLOCKING_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        self._spec = _Spec()
        self._reference = ctypes.byref(self._spec)
        self._loop = loop
        loop.add_reader(self._fd, on_ring)

    def set(self, at_ns: int) -> None:
        """Ring at a moment of `time.monotonic_ns`, or at once when it has passed; what was set before is forgotten."""
        # Setting the timer also clears that it has rung, so that nobody needs to read it.
        at_ns = max(1, at_ns)
        self._spec.value_s, self._spec.value_ns = divmod(at_ns, _NS)
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, self._reference, None)

    def stop(self) -> None:
        """Do not ring any more, until it is set again."""
        self._spec.value_s = self._spec.value_ns = 0
        self._libc.timerfd_settime(self._fd, 0, self._reference, None)

    def close(self) -> None:
        """Give the timer back; it must not be used any more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
