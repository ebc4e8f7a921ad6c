"""Ending a call of plain code from outside: the front's signal becomes an exception in the handler.

The signal handler of Python runs between two steps of the main thread's code, wherever that is. So it raises only while
the loop says that the handler runs (BUSY on the shared page), and only when the front means the call that runs now. In
the loop's own code, which catches the exception, it raises at most once for a call: a second one could strike where the
first is being caught. Inside the handler it raises each time that the front asks, because the first exception may be
lost there: in a ``__del__``, or in a bare ``except``.
"""

from __future__ import annotations

import signal
from types import CodeType, FrameType

from skerry.runtime.progress import BUSY_AT, CANCELLED_AT

PROGRESS_WORD, HELD_WORD, CANCELLED_WORD, BUSY_WORD = 0, 1, CANCELLED_AT // 4, BUSY_AT // 4
LOOPS: set[CodeType] = set()  # functions that catch the exception


class CallCancelled(BaseException):  # no error, and no `except Exception` is to catch it
    """The caller of the running call has left, or has cancelled it."""


class Interruption:
    """What the signal does in this worker.

    Args:
        words: The shared page.
    """

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._raised = -1

    def install(self) -> None:
        """Let the signal interrupt the handler from now on. Only in the main thread."""
        signal.signal(signal.SIGUSR1, self.on_signal)
        signal.siginterrupt(signal.SIGUSR1, False)

    def on_signal(self, _number: int, frame: FrameType | None) -> None:
        """Raise `CallCancelled` where the interrupted code is the handler of the call that is to stop."""
        words = self._words
        running = words[PROGRESS_WORD]
        if not words[BUSY_WORD] or words[CANCELLED_WORD] != running:
            return
        while frame is not None and frame.f_code is Interruption.on_signal.__code__:
            frame = frame.f_back  # a signal while this runs for another
        if self._raised == running and (frame is None or frame.f_code in LOOPS):
            return
        self._raised = running
        raise CallCancelled
