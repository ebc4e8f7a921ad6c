"""All sources that are declared, started and stopped as deployments say."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skerry.errors import UnavailableError
from skerry.events.sources.inlet import Accept, Inlet, Intake
from skerry.events.sources.post import Post
from skerry.spec import FileSource, NatsSource, Source

logger = logging.getLogger(__name__)


class Roster:
    """Keeps the declared sources at work; needs a running event loop.

    Args:
        accept: The broker's door.
        file: Where it is written down which files have become events.
        identity: What tells this engine from others, for brokers that keep messages for it.
        environment: Where passwords are.
        chance: Returns a random number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        accept: Accept,
        *,
        file: Path,
        identity: str,
        environment: Mapping[str, str],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._accept = accept
        self._file = file
        self._identity = identity
        self._environment = environment
        self._chance = chance
        self._posts: dict[str, Post] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._stopping = False

    def follow(self, sources: Mapping[str, Source]) -> None:
        """Have exactly these sources at work, by ``APP/NAME``; those that stay as they are go on."""
        if self._stopping:
            return
        for name, post in list(self._posts.items()):
            if sources.get(name) != post.source:
                self._end(name)
        try:
            self._forget(sources)
        except UnavailableError as error:  # the sources of files say so themselves; others need no such file
            logger.warning("files of sources that are gone are not forgotten: %s", error.message)
        for name, source in sources.items():
            if name not in self._posts:
                self._posts[name] = self._begin(name, source)

    def describe(self) -> list[dict[str, Any]]:
        """Return the sources and how they are as plain values; no credential is among them."""
        return [post.describe() for post in self._posts.values()]

    def stop(self) -> None:
        """End all sources, and begin none any more."""
        self._stopping = True
        for name in list(self._posts):
            self._end(name)

    async def close(self) -> None:
        """Return once all that were ended have ended."""
        if self._ending:
            await asyncio.wait(self._ending)

    def _begin(self, name: str, source: Source) -> Post:
        intake = Intake(name, self._accept, self._chance)
        return Post(source, intake, lambda: self._inlet(intake, source))

    def _end(self, name: str) -> None:
        task = self._posts.pop(name).end()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _forget(self, sources: Mapping[str, Source]) -> None:
        """Forget the files of sources that are not declared any more."""
        if not self._file.exists():
            return
        from skerry.events.sources.files.ledger import Ledger, ledger_name

        with Ledger(self._file) as ledger:
            ledger.keep_only(
                [ledger_name(name, one.url) for name, one in sources.items() if isinstance(one, FileSource)]
            )

    def _inlet(self, intake: Intake, source: Source) -> Inlet:
        # Each brings what only apps with such a source need.
        if isinstance(source, FileSource):
            from skerry.events.sources.files.inlet import FileInlet

            return FileInlet(intake, source, self._file)
        if isinstance(source, NatsSource):
            from skerry.events.sources.nats.inlet import NatsInlet

            return NatsInlet(intake, source, identity=self._identity, environment=self._environment)
        from skerry.events.sources.mqtt.inlet import MqttInlet

        return MqttInlet(intake, source, identity=self._identity, environment=self._environment)
