"""How many models may be on their way at a time: each is in memory as long as it is sent or read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

HELD_BYTES = 4 << 20
FEWEST = 2


class Room:
    """Room for a few models on their way, however many clients are talked to.

    Args:
        model_bytes: Of one model.
        in_flight: Clients that are talked to at a time.

    Attributes:
        places: Models that may be sent at a time, and as many that may be read: a few MiB of them, and at least two.
        is_scarce: Whether there are fewer places than clients that are talked to.
    """

    def __init__(self, model_bytes: int, in_flight: int) -> None:
        self.places = max(FEWEST, min(in_flight, HELD_BYTES // max(1, model_bytes)))
        self.is_scarce = self.places < in_flight
        self._sending = threading.Semaphore(self.places)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Wait for room, and hold it while something is sent."""
        with self._sending:
            yield
