"""Buffers events on their way into the records, so that a cold start does not wait for the disk."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from skerry.engine.records import EventRecord, Events
from skerry.errors import SkerryError

logger = logging.getLogger(__name__)
DELAY_S = 0.2
RETRY_S = 1.0
MOST_WAITING = 10_000  # events that are kept while the records cannot be written


class Journal:
    """Takes events at once and records them a moment later, in order.

    Args:
        events: Where they are kept.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: list[EventRecord] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, function: str, kind: str, detail: dict[str, Any]) -> None:
        """Take one event, which happened now."""
        logger.info("%s: %s %s", function, kind, detail)
        self._waiting.append(EventRecord(at=time.time(), function=function, kind=kind, detail=detail))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(DELAY_S, self.flush)

    def notifier(self, function: str) -> Callable[[str, dict[str, Any]], None]:
        """Return a callable that takes the events of one function."""
        return lambda kind, detail: self.add(function, kind, detail)

    def flush(self) -> None:
        """Record what waits; what cannot be recorded now is tried again later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, []
        for number, event in enumerate(waiting):
            try:
                self._events.add(event)
            except (SkerryError, sqlite3.Error) as error:
                self._waiting = waiting[number:][-MOST_WAITING:]
                logger.warning("%d events are not recorded yet: %s", len(self._waiting), error)
                self._timer = asyncio.get_running_loop().call_later(RETRY_S, self.flush)
                return
