"""The traffic of all functions of an engine: found by name, kept over restarts, ended with what it was about."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Coroutine
from typing import Any

from skerry.engine.journal import Journal
from skerry.engine.models.lanes import ModelLanes
from skerry.engine.models.revisions import ModelRevisions
from skerry.engine.records import Records
from skerry.engine.supervisor import Supervisor
from skerry.engine.traffic.traffic import Traffic
from skerry.errors import ModelNotFoundError, SkerryError
from skerry.runtime.model_source import ModelSource
from skerry.spec import ModelReference

logger = logging.getLogger(__name__)
NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class TrafficBook:
    """Knows the traffic of each function.

    Args:
        records: Where plans are kept.
        supervisor: What serves functions.
        revisions: What makes and switches their revisions.
        journal: Takes events.
        source: Where models come from.
    """

    def __init__(
        self,
        records: Records,
        supervisor: Supervisor,
        revisions: ModelRevisions,
        journal: Journal,
        source: ModelSource,
    ) -> None:
        self._plans = records.traffic
        self._supervisor = supervisor
        self._revisions = revisions
        self._journal = journal
        self._source = source
        self._traffic: dict[str, Traffic] = {}
        self._lanes: dict[str, ModelLanes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        supervisor.on_change.append(self._changed)

    def find(self, function: str) -> Traffic:
        """Return the traffic of a function.

        Raises:
            FunctionNotFoundError: nothing serves it.
            ConfigError: it follows no alias of a model.
        """
        lanes = ModelLanes(function, self._supervisor, self._revisions, self._source)
        lanes.reference()
        if function not in self._traffic:
            self._lanes[function] = lanes
            self._traffic[function] = Traffic(
                function,
                lanes,
                notify=self._journal.notifier(function),
                save=lambda plan: self._plans.save(function, plan),
            )
        return self._traffic[function]

    async def resolve(self, function: str, text: str) -> int:
        """Return the version that a number or an alias means for a function.

        Raises:
            ModelNotFoundError: there is no such version or alias.
            SkerryError: see `find`; or the store cannot be reached.
        """
        self.find(function)
        name = self._lanes[function].reference().name
        if NUMBER.fullmatch(text):
            return (await asyncio.to_thread(self._source.version, name, int(text))).version
        return (await asyncio.to_thread(self._source.resolve, ModelReference.parse(f"{name}@{text}"))).version

    def resume(self) -> None:
        """Go on with the plans of the engine that was here before, in the background."""
        for function, plan in self._plans.all().items():
            self._do(self._resume(function, plan))

    def stop(self) -> None:
        """Decide nothing more; plans stay on record."""
        for traffic in self._traffic.values():
            traffic.stop()
        for task in self._tasks:
            task.cancel()

    # Inside

    async def _resume(self, function: str, plan: dict[str, Any]) -> None:
        try:
            await self.find(function).resume(plan)
        except SkerryError as error:
            reason = f"it cannot be tried again after a restart: {error.message}"
            logger.error("traffic of %s: version %s: %s", function, plan.get("candidate"), reason)
            self._plans.save(function, None)
            self._journal.add(function, "traffic_withdrawn", {"version": plan.get("candidate"), "reason": reason})

    def _changed(self, function: str) -> None:
        """End a trial whose stable version was replaced by somebody else: what it compares with is gone."""
        traffic = self._traffic.get(function)
        if traffic is not None and traffic.to_dict() is not None:
            self._do(self._withdraw(traffic))

    async def _withdraw(self, traffic: Traffic) -> None:
        with contextlib.suppress(ModelNotFoundError):  # it was the trial itself that has changed it
            await traffic.withdraw("another revision serves the function now")

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
