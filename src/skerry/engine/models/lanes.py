"""Versions of one function's model side by side: what the traffic of a function needs of the engine."""

from __future__ import annotations

import asyncio

from skerry.engine.models.revisions import ModelRevisions
from skerry.engine.served import Served
from skerry.engine.supervisor import Supervisor
from skerry.errors import ConfigError, FunctionNotFoundError
from skerry.runtime.model_source import ModelSource
from skerry.runtime.pool import WorkerPool
from skerry.runtime.split import Split
from skerry.spec import ModelReference


class ModelLanes:
    """Tries a version of a model beside the one that its alias means; see `Lanes`.

    Args:
        function: The function's name.
        supervisor: What serves it.
        revisions: What makes and switches its revisions.
        source: Where the model comes from, and its alias.
    """

    def __init__(self, function: str, supervisor: Supervisor, revisions: ModelRevisions, source: ModelSource) -> None:
        self._function = function
        self._supervisor = supervisor
        self._revisions = revisions
        self._source = source
        self._candidate: Served | None = None

    @property
    def stable(self) -> WorkerPool:
        """The pool that serves the function by itself."""
        return self._supervisor.find(self._function).pool

    @property
    def serving(self) -> int | None:
        """The version of the model that serves the function."""
        pinned = self._supervisor.find(self._function).pinned
        return None if pinned is None else pinned.version

    def route(self, entry: WorkerPool | Split) -> None:
        """Serve the function by this from now on; a function that is gone meanwhile is served by nothing."""
        if self._function in self._supervisor.served:
            candidate = self._candidate if isinstance(entry, Split) else None
            self._supervisor.route(self._function, entry, () if candidate is None else (candidate,))

    async def add(self, version: int) -> WorkerPool:
        """Return the pool of a candidate, warm.

        Raises:
            ConfigError: the function names one version and no alias, so nothing could be promoted.
            ModelInUseError: the version serves already.
            SkerryError: it cannot be fetched or started; nothing of it is left.
        """
        reference = self.reference()
        manifest = await asyncio.to_thread(self._source.version, reference.name, version)
        self._candidate = await self._revisions.prepare(self._function, manifest)
        return self._candidate.pool

    async def promote(self, reason: str) -> None:
        """Move the alias to the candidate, and make the candidate `stable`.

        Raises:
            ModelInUseError: the alias was moved by somebody else meanwhile.
            SkerryError: the store cannot be written; everything is as before.
        """
        candidate, served = self._candidate, self._supervisor.find(self._function)
        if candidate is None or candidate.pinned is None or served.pinned is None:
            raise FunctionNotFoundError(f"function {self._function!r} has no candidate any more")
        reference, version, before = self.reference(), candidate.pinned.version, served.pinned.version
        await asyncio.to_thread(self._source.promote, reference, version, reason=reason, expected=before)
        # Whoever follows the alias may have been faster: then it serves already.
        if self._supervisor.standby.get(candidate.revision.name) is candidate:
            self._revisions.switch(candidate, keep_before=True)

    def retire(self, pool: WorkerPool) -> None:
        """Have a pool that stands by take nothing more, finish what it has, and end."""
        for served in list(self._supervisor.standby.values()):
            if served.pool is pool:
                self._revisions.retire(served)
        if self._candidate is not None and self._candidate.pool is pool:
            self._candidate = None

    def reference(self) -> ModelReference:
        """Return the model and alias that the function names.

        Raises:
            FunctionNotFoundError: nothing serves the function.
            ConfigError: it serves no model, or names a version instead of an alias.
        """
        model = self._supervisor.find(self._function).pool.spec.model
        reference = None if model is None else ModelReference.parse(model)
        if reference is None or reference.alias is None:
            raise ConfigError(
                f"function {self._function!r} follows no alias of a model, so it has no traffic to divide; serve it as "
                "NAME@ALIAS"
            )
        return reference
