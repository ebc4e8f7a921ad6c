"""The broker's life in the engine: it follows what is deployed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from skerry.engine.events.giving import giver
from skerry.engine.events.routes import EventRoutes
from skerry.engine.home import Home
from skerry.engine.records import Records
from skerry.engine.supervisor import Supervisor
from skerry.errors import ConfigError, SkerryError
from skerry.events.backlog import SqliteBacklog
from skerry.events.broker import Broker, BrokerLimits
from skerry.runtime.front import Front
from skerry.spec import FunctionSpec, function_spec

logger = logging.getLogger(__name__)
LIMIT_VARIABLE = "SKERRY_EVENTS_MAX_WAITING"
FOLLOW_AGAIN_S = 1.0


class EventHosting:
    """Keeps the broker in step with the deployed apps.

    Args:
        home: The engine's folder.
        records: What is deployed.
        supervisor: What serves it.
        environment: Variables with the broker's limits.

    Raises:
        ConfigError: the backlog's file cannot be used, or a limit is no number.
    """

    def __init__(self, home: Home, records: Records, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        self._records = records
        self._supervisor = supervisor
        self.broker = Broker(SqliteBacklog(home.backlog), giver(supervisor), limits=_limits(environment))
        self._following: asyncio.Task[None] | None = None
        self._is_outdated = False
        self._stopping = False

    def add_routes(self, front: Front) -> None:
        """Serve the broker's addresses on a front."""
        EventRoutes(self.broker).add(front)

    async def start(self) -> None:
        """Feed what is deployed, and follow what is deployed from now on."""
        await self.broker.follow(self._deployed())
        self._supervisor.on_change.append(self._changed)

    def stop(self) -> None:
        """Take and give nothing more."""
        self._stopping = True
        self.broker.stop()

    async def finish(self) -> None:
        """Record what functions have answered; nothing answers any more."""
        if self._following is not None:
            await asyncio.wait([self._following])
        await self.broker.close()

    # Inside

    def _deployed(self) -> list[FunctionSpec]:
        return [
            function_spec(revision.spec, where=f"revision {revision.name}") for revision in self._records.apps.active()
        ]

    def _changed(self, function: str) -> None:
        """Follow once the present turn of the loop has changed all it changes: an app has several functions."""
        self._is_outdated = True
        if self._following is None and not self._stopping:
            self._following = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        try:
            while self._is_outdated and not self._stopping:
                self._is_outdated = False
                try:
                    await self.broker.follow(self._deployed())
                except SkerryError as error:
                    logger.warning("triggers are not brought up to date, and tried again: %s", error.message)
                    self._is_outdated = True
                    await asyncio.sleep(FOLLOW_AGAIN_S)
        finally:
            self._following = None


def _limits(environment: Mapping[str, str]) -> BrokerLimits:
    text = environment.get(LIMIT_VARIABLE, "")
    if not text:
        return BrokerLimits()
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{LIMIT_VARIABLE} = {text!r}: must be a whole number above 0")
    return BrokerLimits(most_waiting=int(text))
