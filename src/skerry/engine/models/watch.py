"""Follows aliases of models: when one moves, the functions that name it serve another version."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skerry.engine.journal import Journal
from skerry.engine.models.revisions import ModelRevisions
from skerry.engine.served import Served
from skerry.engine.supervisor import Supervisor
from skerry.errors import ConfigError, FunctionNotFoundError, SkerryError, StorageError, UnavailableError
from skerry.runtime.model_source import ModelSource
from skerry.spec import ModelReference
from skerry.store.models import Manifest

logger = logging.getLogger(__name__)
# What says nothing about the version: it is tried again at the next look.
PASSING = (StorageError, ConfigError, UnavailableError, FunctionNotFoundError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """A function that follows an alias.

    Args:
        function: Its name.
        revision: The revision that serves it.
        reference: The alias.
        digest: Of the version that it serves.
    """

    function: str
    revision: str
    reference: ModelReference
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A version that an alias points at and that cannot be served.

    Args:
        version: Its number.
        reason: What keeps it from that.
    """

    version: int
    reason: str


Seen = tuple[str, int]  # the revision that served, and the head of the model's history, when all was well


def followers(served: Iterable[Served]) -> list[Follower]:
    """Return the functions that follow an alias; those of a version, and those without a model, do not."""
    found = []
    for one in served:
        if one.pool.spec.model is None:
            continue
        reference = ModelReference.parse(one.pool.spec.model)
        if reference.version is None:
            revision, pin = one.revision, one.revision.model
            digest = None if pin is None else pin.digest
            found.append(
                Follower(function=revision.function, revision=revision.name, reference=reference, digest=digest)
            )
    return found


def due(following: Iterable[Follower], heads: Mapping[str, int], seen: Mapping[str, Seen]) -> list[Follower]:
    """Return the functions whose alias may have moved since it was looked up last.

    Args:
        following: All that follow an alias.
        heads: The head of each model's history; models whose store does not answer are missing.
        seen: What was looked up last, by the function's name.
    """
    return [
        one
        for one in following
        if one.reference.name in heads and seen.get(one.function) != (one.revision, heads[one.reference.name])
    ]


class ModelWatch:
    """Looks whether aliases have moved, and has functions follow them, each for itself.

    Args:
        source: Where models come from.
        supervisor: What serves functions.
        revisions: What makes and switches revisions.
        journal: Takes events.
    """

    def __init__(
        self, source: ModelSource, supervisor: Supervisor, revisions: ModelRevisions, journal: Journal
    ) -> None:
        self.failures: dict[str, Failure] = {}  # by the function's name
        self._source = source
        self._supervisor = supervisor
        self._revisions = revisions
        self._journal = journal
        self._seen: dict[str, Seen] = {}
        self._following: dict[str, tuple[Manifest, asyncio.Task[None]]] = {}  # by the function's name
        self._told: dict[str, str] = {}  # what is logged already, by what it is about
        self._one_look = asyncio.Lock()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at once, and from now on."""
        self._loop = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Look no more, and give up what is being started."""
        tasks = [task for _, task in self._following.values()]
        tasks += [] if self._loop is None else [self._loop]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Look at once, also at versions that could not be served before; return when all functions have followed."""
        self._seen.clear()
        await self._look()
        while tasks := [task for _, task in self._following.values()]:
            await asyncio.wait(tasks)

    def describe(self, served: Served) -> dict[str, Any] | None:
        """Return what is known of a function's model as plain values, none without a model."""
        reference, pin = served.pool.spec.model, served.revision.model
        if reference is None:
            return None
        failure = self.failures.get(served.revision.function)
        following = self._following.get(served.revision.function)
        return {
            "reference": str(ModelReference.parse(reference)),
            "version": None if pin is None else pin.version,
            "digest": None if pin is None else pin.digest,
            "loaded": served.is_loaded,
            "following": following[0].version if following else None,
            "failed": None if failure is None else {"version": failure.version, "reason": failure.reason},
        }

    # Inside

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # whatever it is, the next look must come
                logger.exception("looking for moved aliases failed")
            await asyncio.sleep(self._source.period_s)

    async def _look(self) -> None:
        async with self._one_look:
            following = followers(self._supervisor.served.values())
            heads = await asyncio.to_thread(self._heads, {one.reference.name for one in following})
            for one in due(following, heads, self._seen):
                await self._look_up(one, heads[one.reference.name])

    def _heads(self, names: set[str]) -> dict[str, int]:
        heads = {}
        for name in names:
            try:
                heads[name] = self._source.head(name)
            except SkerryError as error:
                self._tell_once(name, f"model {name!r} cannot be looked up, what serves goes on: {error.message}")
            else:
                self._told.pop(name, None)
        return heads

    async def _look_up(self, one: Follower, head: int) -> None:
        try:
            manifest = await asyncio.to_thread(self._source.resolve, one.reference)
        except SkerryError as error:
            self._tell_once(one.function, f"{one.function}: {one.reference} is not followed: {error.message}")
            if not isinstance(error, StorageError):
                self._seen[one.function] = (one.revision, head)  # it says so until the alias comes back
            return
        self._told.pop(one.function, None)
        following = self._following.get(one.function)
        if following is not None:
            target, work = following
            if target.digest == manifest.digest:
                return  # it is on its way
            work.cancel()
            await asyncio.wait([work])
        if manifest.digest == one.digest:
            self._seen[one.function] = (one.revision, head)
            self.failures.pop(one.function, None)
            return
        task = asyncio.get_running_loop().create_task(self._follow(one, manifest, head))
        self._following[one.function] = (manifest, task)
        task.add_done_callback(lambda task: self._forget(one.function, task))

    def _forget(self, function: str, task: asyncio.Task[None]) -> None:
        following = self._following.get(function)
        if following is not None and following[1] is task:
            del self._following[function]

    async def _follow(self, one: Follower, manifest: Manifest, head: int) -> None:
        function = one.function
        try:
            await self._revisions.follow(function, manifest)
        except PASSING as error:
            self.failures[function] = Failure(version=manifest.version, reason=error.message)
            self._tell_once(function, f"{function}: {manifest.name}@{manifest.version} is not served: {error.message}")
        except Exception as error:  # whatever it is, the version that serves goes on serving
            reason = error.message if isinstance(error, SkerryError) else f"{type(error).__name__}: {error}"
            self.failures[function] = Failure(version=manifest.version, reason=reason)
            self._seen[function] = (one.revision, head)
            detail = {"reference": str(one.reference), "version": manifest.version, "reason": reason}
            self._journal.add(function, "model_switch_failed", detail)
        else:
            self.failures.pop(function, None)
            with contextlib.suppress(FunctionNotFoundError):
                self._seen[function] = (self._supervisor.find(function).revision.name, head)

    def _tell_once(self, about: str, message: str) -> None:
        if self._told.get(about) != message:
            self._told[about] = message
            logger.warning("%s", message)
