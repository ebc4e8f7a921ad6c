"""Tells what the loop did in a thread of its own, so that whoever is told may be slow."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from skerry.network.actions.withdrawal import monotonic_s
from skerry.network.loop import Happening, Step

logger = logging.getLogger(__name__)

MOST_WAITING = 1000
FLUSH_S = 10.0


class Teller:
    """Takes happenings without waiting, and tells them in their order.

    Where whoever is told cannot keep up, the latest are left out; how many is told in their place, as ``missed``.

    Args:
        tell: Is told, in the thread. What it raises is logged, and the next happening is told.
        most: How many happenings may wait.
        flush_s: How long, at most, :meth:`close` waits until all are told, seconds.

    Example:
        ```python
        with Teller(publish) as teller:
            Loop(actor, detector, tell=teller).run(sensor, stopped)
        ```
    """

    def __init__(
        self, tell: Callable[[Happening], None], *, most: int = MOST_WAITING, flush_s: float = FLUSH_S
    ) -> None:
        self._tell = tell
        self._most = most
        self._flush_s = flush_s
        self._waiting: deque[Happening] = deque()
        self._missed = 0  # since the latest that was taken
        self._closed = False
        self._changed = threading.Condition()
        # A daemon: who is told and never comes back must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="skerry-telling", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, happening: Happening) -> None:
        """Take what is to be told."""
        with self._changed:
            if len(self._waiting) >= self._most:
                self._missed += 1
                return
            self._note_missed()
            self._waiting.append(happening)
            self._changed.notify()

    def close(self) -> None:
        """Wait until all that was taken is told, for so long at most, and end the thread."""
        with self._changed:
            self._note_missed()
            self._closed = True
            self._changed.notify()
        self._thread.join(self._flush_s)
        if self._thread.is_alive():
            logger.error(
                "whoever is told what the loop did has not come back within %g s; %d happenings were not told",
                self._flush_s,
                len(self._waiting),
            )

    def _note_missed(self) -> None:
        if not self._missed:
            return
        reason = f"{self._missed} happenings could not be told: whoever is told is too slow"
        self._missed = 0
        logger.warning("%s", reason)
        self._waiting.append(Happening(step=Step.MISSED, at_s=monotonic_s(), destination=None, reason=reason))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                happening = self._waiting.popleft()
            try:
                self._tell(happening)
            except Exception:  # it is the caller's, and may raise anything
                logger.exception("nobody could be told that the loop %s: %s", happening.step, happening.reason)
