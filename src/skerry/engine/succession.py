"""What is going to replace revisions that are at work: started beside them, so that a switch makes nobody wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from skerry.engine.records import AppRecord, Records, RevisionDraft, RevisionRecord
from skerry.engine.supervisor import Supervisor
from skerry.errors import SkerryError, UnavailableError
from skerry.runtime.nursery import Nursery
from skerry.runtime.pinned_model import PinnedModel

STOPS = "the engine stops; deploy once it runs again"
T = TypeVar("T")


class Succession:
    """Gets the successors of an app's revisions ready, before a deployment is on record.

    Args:
        records: Where revisions are kept.
        supervisor: What serves them.
    """

    def __init__(self, records: Records, supervisor: Supervisor) -> None:
        self._apps = records.apps
        self._supervisor = supervisor
        self._is_stopping = False

    def stop(self) -> None:
        """Let nothing succeed any more."""
        self._is_stopping = True

    async def get_ready(
        self,
        app: AppRecord,
        drafts: Sequence[RevisionDraft],
        nursery: Nursery,
        models: Mapping[str, PinnedModel | None],
    ) -> dict[str, RevisionRecord]:
        """Start the successors of all revisions that are at work, and wait until they are ready.

        A function without workers has nothing that others could miss: a call starts its first one, as ever.

        Args:
            app: What is deployed.
            drafts: Its functions.
            nursery: Where their workers come from.
            models: The versions of their models, by the function's name.

        Returns:
            The successors by the function's name. `Supervisor.serve` lets them take over, in this turn of the loop: in
            the next, other functions may have been called. `Supervisor.drop_prepared` ends those that were started,
            here too where this raises.

        Raises:
            StartError: one of them cannot be started.
            UnavailableError: there is no memory for one beside what serves, or the engine stops.
        """
        successors: dict[str, RevisionRecord] = {}
        # More than one round where a function was called, or its alias has moved, while others were getting ready.
        while found := self._find(app, [one for one in drafts if one.function not in successors]):
            successors |= found
            await all_or_none(
                self._prepare(app, revision, nursery, models[function]) for function, revision in found.items()
            )
        if self._is_stopping:
            raise UnavailableError(f"app {app.name!r} is not deployed: {STOPS}")
        return successors

    def _find(self, app: AppRecord, drafts: Iterable[RevisionDraft]) -> dict[str, RevisionRecord]:
        found = (
            self._apps.successor(app, draft, now_s=time.time())
            for draft in drafts
            if self._supervisor.is_at_work(draft.function)
        )
        return {revision.function: revision for revision in found if revision is not None}

    async def _prepare(
        self, app: AppRecord, revision: RevisionRecord, nursery: Nursery, pinned: PinnedModel | None
    ) -> None:
        try:
            await self._supervisor.prepare(app, revision, nursery, pinned)
        except SkerryError as error:
            reason = STOPS if self._is_stopping else error.message
            text = f"revision {revision.name} does not get ready, and the one before it goes on: {reason}"
            raise type(error)(text, **error.details) from error


async def all_or_none(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do several things at once; when one fails, the others are ended before its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
