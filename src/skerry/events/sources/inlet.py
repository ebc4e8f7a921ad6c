"""One source at work, and how what it brings is handed to the broker."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from skerry.errors import QueueFullError, UnavailableError
from skerry.events.delivery import Entry
from skerry.events.verdict import pause_s
from skerry.spec import Retry

logger = logging.getLogger(__name__)
BACKOFF: Final = Retry(delay="200ms", max_delay="30s")  # of connections, and of a broker that takes nothing now

Accept = Callable[[Sequence[Entry]], Awaitable[object]]


def peer_name(source: str, identity: str, *also: str) -> str:
    """Return by what another broker knows a source: the same after a restart, and no other source's.

    Args:
        source: The source's name.
        identity: What tells this engine from others.
        also: What else makes it another one there.
    """
    digest = hashlib.sha256("\0".join((source, *also)).encode()).hexdigest()[:12]
    return f"skerry-{source.replace('/', '-')}-{identity}-{digest}"


class Intake:
    """Hands a source's events to the broker, again and again until it takes them.

    Args:
        name: The source's, for the log.
        accept: The broker's door: returns once events are durable.
        chance: Returns a random number from 0 to 1, for jitter.
    """

    def __init__(self, name: str, accept: Accept, chance: Callable[[], float]) -> None:
        self.name = name
        self.chance = chance
        self.taken = 0  # events, since it began
        self._accept = accept

    async def take(self, entries: Sequence[Entry]) -> None:
        """Return once the events are durable, however long the broker has no room."""
        attempt = 0
        while True:
            try:
                await self._accept(entries)
            except (QueueFullError, UnavailableError) as error:
                attempt += 1
                if attempt == 1:
                    logger.warning("source %s waits: %s", self.name, error.message)
                wait_s = float(error.details.get("retry_after_s") or 0.0)
                await asyncio.sleep(min(BACKOFF.max_delay_s, max(wait_s, pause_s(BACKOFF, attempt, self.chance()))))
            else:
                self.taken += len(entries)
                return


class Inlet(ABC):
    """A source at work: what it is depends on where its events come from.

    Args:
        intake: Takes its events.
    """

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.is_open = False  # whether it reaches what its events come from

    @abstractmethod
    async def session(self) -> None:
        """Bring events until it is cancelled.

        What a source is told of MUST NOT be given up (acknowledged, written down as seen) before its event is durable.

        Raises:
            SkerryError: it cannot go on; the message holds no credential. It is called again after a pause.
        """
