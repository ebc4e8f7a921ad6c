"""A source that is kept at work: begun again after a pause, longer each time, when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from skerry.errors import SkerryError
from skerry.events.sources.inlet import BACKOFF, Inlet, Intake
from skerry.events.verdict import pause_s
from skerry.spec import Source

logger = logging.getLogger(__name__)


class Post:
    """Keeps one source at work from now on; needs a running event loop.

    Args:
        source: What is declared.
        intake: Takes its events.
        open_inlet: Makes the source anew, for each try.
    """

    def __init__(self, source: Source, intake: Intake, open_inlet: Callable[[], Inlet]) -> None:
        self.source = source
        self.error: str | None = None  # why it does not work at the moment
        self._intake = intake
        self._open = open_inlet
        self._inlet: Inlet | None = None
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def describe(self) -> dict[str, Any]:
        """Return how it is as plain values."""
        is_open = self._inlet is not None and self._inlet.is_open
        return {
            "name": self._intake.name,
            "kind": self.source.kind,
            "url": self.source.url,
            "is_open": is_open,
            "taken": self._intake.taken,
            "error": None if is_open else self.error,
        }

    def end(self) -> asyncio.Task[None]:
        """Let it end; return what is over when it has."""
        self._task.cancel()
        return self._task

    async def _keep(self) -> None:
        failures = 0
        while True:
            self._inlet = None
            try:
                self._inlet = self._open()
                await self._inlet.session()
                found = "it has ended"
            except SkerryError as error:
                found = error.message
            except Exception as error:  # whatever it is, it is this source's: the broker and the others go on
                logger.exception("source %s", self._intake.name)
                found = f"{type(error).__name__}: {error}"
            if self._inlet is not None and self._inlet.is_open:
                self._inlet.is_open = False
                failures = 0
            failures += 1
            wait_s = pause_s(BACKOFF, failures, self._intake.chance())
            if found != self.error or failures == 1:
                logger.warning("source %s does not work, and is tried again: %s", self._intake.name, found)
            self.error = found
            await asyncio.sleep(wait_s)
