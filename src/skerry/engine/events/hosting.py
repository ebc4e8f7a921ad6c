"""The broker's life in the engine: it follows what is deployed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Mapping

from skerry.engine.events.giving import BeginRuns, giver
from skerry.engine.events.mark import LocalMark
from skerry.engine.events.routes import EventRoutes
from skerry.engine.home import Home
from skerry.engine.records import Records
from skerry.engine.supervisor import Supervisor
from skerry.errors import ConfigError, SkerryError
from skerry.events.backlog import Backlog, SqliteBacklog
from skerry.events.broker import Broker, BrokerLimits, starts_of
from skerry.events.metrics import BrokerMetrics
from skerry.events.sources.roster import Roster
from skerry.runtime.front import Front
from skerry.runtime.observing import Observing
from skerry.spec import FunctionSpec, Source, function_spec, source_of

logger = logging.getLogger(__name__)
ADDRESS_VARIABLE = "SKERRY_EVENTS"
LIMIT_VARIABLE = "SKERRY_EVENTS_MAX_WAITING"
FOLLOW_AGAIN_S = 1.0


class EventHosting:
    """Keeps the broker in step with the deployed apps.

    Args:
        records: What is deployed.
        broker: Takes events.
        sources: Bring it some.
        mark: Says until when functions that are labelled ``local`` took some.
    """

    def __init__(self, records: Records, broker: Broker, sources: Roster, mark: LocalMark) -> None:
        self._mark = mark
        self._records = records
        self.broker = broker
        self.sources = sources
        self._following: asyncio.Task[None] | None = None
        self._stopping = False

    @classmethod
    async def open(
        cls,
        home: Home,
        records: Records,
        supervisor: Supervisor,
        environment: Mapping[str, str],
        begin_runs: BeginRuns,
        observing: Observing,
    ) -> EventHosting:
        """Return the engine's broker: with a file in its folder, or where ``SKERRY_EVENTS`` says.

        Args:
            home: The engine's folder.
            records: What is deployed.
            supervisor: What serves.
            environment: The engine's variables.
            begin_runs: Begins runs of chains whose triggers take events.
            observing: What the engine counts and traces.

        Raises:
            ConfigError: the backlog cannot be used, or a limit is no number.
            UnavailableError: its server does not answer.
        """
        limits = _limits(environment)
        address = environment.get(ADDRESS_VARIABLE, "")
        backlog: Backlog
        if address:
            from skerry.events.backlog.jetstream.backlog import JetStreamBacklog

            backlog = await JetStreamBacklog.open(address, owner=f"{socket.gethostname()}:{home.path}")
        else:
            backlog = SqliteBacklog(home.backlog)
        tracer, metrics = observing.tracer, BrokerMetrics(observing.registry)
        give = giver(supervisor, begin_runs, tracer)
        broker = Broker(backlog, give, limits=limits, metrics=metrics, tracer=tracer)
        sources = Roster(broker.accept, file=home.seen_files, identity=_identity(home), environment=environment)
        return cls(records, broker, sources, LocalMark(home.local_events))

    def add_routes(self, front: Front) -> None:
        """Serve the broker's addresses on a front."""
        EventRoutes(self.broker, self.sources, self._mark).add(front)

    async def start(self) -> None:
        """Feed what is deployed."""
        await self._feed()

    async def follow(self) -> None:
        """Feed what is deployed now; where the backlog does not answer, as soon as it does."""
        if not await self._try() and self._following is None:
            self._following = asyncio.get_running_loop().create_task(self._follow_later())

    def stop(self) -> None:
        """Take and give nothing more."""
        self._stopping = True
        self.sources.stop()
        self.broker.stop()

    async def finish(self) -> None:
        """Record what functions have answered; nothing answers any more."""
        if self._following is not None:
            await asyncio.wait([self._following])
        await self.sources.close()
        await self.broker.close()

    # Inside

    def _deployed(self) -> tuple[list[FunctionSpec], bool]:
        """Return the functions that are deployed, and whether these are all: what cannot be read is left out."""
        found, are_all = [], True
        for revision in self._records.apps.active():
            try:
                found.append(function_spec(revision.spec, where=f"revision {revision.name}"))
            except SkerryError as error:  # an earlier version took it; the other functions go on
                are_all = False
                logger.warning("events wait for a function until its app is deployed again: %s", error.message)
        return found, are_all

    def _sources(self) -> dict[str, Source]:
        found = {}
        for app in self._records.apps.all():
            for name, values in app.event_sources.items():
                try:
                    found[f"{app.name}/{name}"] = source_of(values, where=f"app {app.name!r}: source {name!r}")
                except SkerryError as error:  # an earlier version took it; the other sources go on
                    logger.warning("a source is left out: %s", error.message)
        return found

    async def _feed(self) -> None:
        functions, are_all = self._deployed()
        if any(spec.local for spec, _ in starts_of(functions).values()):
            self._mark.begin()
        await self.broker.follow(functions, are_all=are_all)
        if are_all and not self.broker.has_local:
            self._mark.end()
        self.sources.follow(self._sources())

    async def _try(self) -> bool:
        try:
            await self._feed()
        except SkerryError as error:
            logger.warning("triggers are not brought up to date, and tried again: %s", error.message)
            return False
        return True

    async def _follow_later(self) -> None:
        while not self._stopping:
            await asyncio.sleep(FOLLOW_AGAIN_S)
            if await self._try():
                break
        self._following = None


def _identity(home: Home) -> str:
    """Return what tells this engine from all others, today and after a restart."""
    return hashlib.sha256(f"{socket.gethostname()} {home.path}".encode()).hexdigest()[:12]


def _limits(environment: Mapping[str, str]) -> BrokerLimits:
    text = environment.get(LIMIT_VARIABLE, "")
    if not text:
        return BrokerLimits()
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{LIMIT_VARIABLE} = {text!r}: must be a whole number above 0")
    return BrokerLimits(most_waiting=int(text))
