"""How many connections a front takes: of its descriptors, some are kept for workers, files and the Unix socket."""

from __future__ import annotations

import logging
import resource
import time

logger = logging.getLogger(__name__)

LEAST_RESERVE = 64
MOST_RESERVE = 4096
RESERVED_PART = 8  # one in so many
LOG_PERIOD_S = 10.0


class Room:
    """Says whether one more connection over TCP is taken, and counts those that are not.

    The system gives each new descriptor the lowest number that is free: one with the number n tells that all below it
    are in use, whatever for. So the number of a connection's descriptor is all that has to be looked at.

    Args:
        files: The most descriptors of this process; none asks the system.
    """

    def __init__(self, files: int | None = None) -> None:
        self.refused_total = 0
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if files is None else files
        if self._files == resource.RLIM_INFINITY:
            self._files = 1 << 30  # the kernel has no room for more
        self._reserve = min(max(LEAST_RESERVE, self._files // RESERVED_PART), MOST_RESERVE, self._files // 4)
        self._unsaid = 0  # refused since the log has last told of it
        self._said_s = -LOG_PERIOD_S

    def takes(self, descriptor: int, *, public: bool = False) -> bool:
        """Return whether a connection is taken; one that is not is counted, and logged now and then.

        Args:
            descriptor: Its descriptor.
            public: Whether it is from another machine: those leave room for the connections of this one.
        """
        if descriptor < self._files - self._reserve * (2 if public else 1):
            return True
        self.refused_total += 1
        self._unsaid += 1
        now_s = time.monotonic()
        if now_s >= self._said_s + LOG_PERIOD_S:
            logger.warning(
                "%d connections were refused: of %d descriptors, %d are kept for workers, files and the Unix socket",
                self._unsaid,
                self._files,
                self._reserve,
            )
            self._said_s, self._unsaid = now_s, 0
        return False

    def can_answer(self, descriptor: int) -> bool:
        """Return whether a connection that is not taken may be open for the moment of an answer."""
        return descriptor < self._files - self._reserve // 2
