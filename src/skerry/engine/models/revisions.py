"""Revisions of a function for other versions of its model: made and warmed beside the one that serves, then switched.

None of this takes the deployer's turn, for a deployment may take minutes. A switch is one transaction of the records
and one change of the front's table, with nothing in between; the transaction refuses a revision whose function was
deployed anew since it was prepared.
"""

from __future__ import annotations

import asyncio
import time

from skerry.engine.journal import Journal
from skerry.engine.records import ModelPin, Records, RevisionRecord
from skerry.engine.served import Served
from skerry.engine.supervisor import Supervisor, app_target
from skerry.errors import ConfigError, SkerryError
from skerry.runtime.model_source import ModelSource
from skerry.runtime.pinned_model import PinnedModel
from skerry.spec import function_spec
from skerry.store.models import Manifest


class ModelRevisions:
    """Makes, switches and ends the revisions of functions that differ by their model's version alone.

    Args:
        records: Where revisions are kept.
        supervisor: What serves them.
        journal: Takes events.
        source: Where models come from.
    """

    def __init__(self, records: Records, supervisor: Supervisor, journal: Journal, source: ModelSource) -> None:
        self._apps = records.apps
        self._supervisor = supervisor
        self._journal = journal
        self._source = source

    async def prepare(self, function: str, manifest: Manifest) -> Served:
        """Fetch a version, and start a further revision of a function for it, which gets no requests.

        Args:
            function: Its name; one whose model this is.
            manifest: The version.

        Returns:
            The revision once a worker of it is ready. It is in `Supervisor.standby` until `switch` or `retire`.

        Raises:
            FunctionNotFoundError: nothing serves the function.
            StartError: no worker of it can be started; nothing of it is left.
            SkerryError: the version cannot be fetched, or the function was deployed anew meanwhile.
        """
        pinned = await asyncio.to_thread(self._source.fetch, manifest)
        revision = self._prepared(function, manifest)
        return await self._supervisor.stand_by(self._apps.get(revision.app), revision, pinned)

    def switch(self, served: Served, *, keep_before: bool = False) -> None:
        """Let a prepared revision serve its function from now on.

        Args:
            served: What `prepare` returned.
            keep_before: Whether the revision before stands by from now on, until `retire`; else it finishes what it
                has, and ends.

        Raises:
            ConfigError: the function was deployed anew since it was prepared, or it stands by no more.
            FunctionNotFoundError: the function is gone.
        """
        revision = served.revision
        if self._supervisor.standby.get(revision.name) is not served:
            raise ConfigError(f"revision {revision.name} does not stand by; prepare it again")
        served.revision = self._apps.switch(revision)
        before = self._supervisor.served[revision.function].revision
        self._supervisor.promote(served, keep_before=keep_before)
        self._tell(before, served.revision)

    def retire(self, served: Served) -> None:
        """End a revision that stands by; requests that it has been given are finished."""
        self._supervisor.dismiss(served)

    async def follow(self, function: str, manifest: Manifest) -> None:
        """Let a function serve a version of its model from now on; a version that cannot start changes nothing.

        What stands by for that version already is taken. A function without workers gets none by this: the version is
        tried out, as by a deployment.

        Raises:
            SkerryError: the version cannot be fetched or started, or the function was deployed anew meanwhile.
        """
        serving = self._supervisor.find(function).revision.model
        if serving is not None and serving.digest == manifest.digest:
            return  # it has switched since it was looked up
        standing = self._standing_by(function, manifest)
        if standing is not None:
            self.switch(standing)
        elif self._supervisor.find(function).pool.desired:
            served = await self.prepare(function, manifest)
            try:
                self.switch(served)
            except SkerryError:
                self.retire(served)
                raise
        else:
            await self._replace_idle(function, manifest)

    # Inside

    async def _replace_idle(self, function: str, manifest: Manifest) -> None:
        pinned = await asyncio.to_thread(self._source.fetch, manifest)
        revision = self._prepared(function, manifest)
        app = self._apps.get(revision.app)
        served = self._supervisor.find(function)
        spec = function_spec(revision.spec, where=f"revision {revision.name}")
        await self._supervisor.try_out(spec, app_target(app, self._supervisor.sources), served.nursery, pinned)
        revision = self._apps.switch(revision)
        before = self._supervisor.find(function).revision
        self._supervisor.replace(app, revision, pinned)
        self._tell(before, revision)

    def _prepared(self, function: str, manifest: Manifest) -> RevisionRecord:
        return self._apps.prepare(function, pin_of(manifest), now_s=time.time())

    def _standing_by(self, function: str, manifest: Manifest) -> Served | None:
        for served in self._supervisor.standby.values():
            model = served.revision.model
            is_same = served.revision.function == function and model is not None and model.digest == manifest.digest
            if is_same and served.is_ready:
                return served
        return None

    def _tell(self, before: RevisionRecord, after: RevisionRecord) -> None:
        detail = {"revision": after.name, "from": _words(before.model), "to": _words(after.model)}
        self._journal.add(after.function, "model_switched", detail)


def pin_of(manifest: Manifest) -> ModelPin:
    """Return a version as a revision's record keeps it."""
    return ModelPin(
        name=manifest.name,
        version=manifest.version,
        digest=manifest.digest,
        manifest=manifest.to_json().decode(),
    )


def fetch_pinned(source: ModelSource, pin: ModelPin) -> PinnedModel:
    """Return a pinned version with its files on this machine; may wait for a network.

    Raises:
        SkerryError: it is not in the cache, and cannot be fetched.
    """
    return source.fetch(Manifest.from_json(pin.manifest.encode()))


def _words(pin: ModelPin | None) -> str | None:
    return None if pin is None else f"{pin.name}@{pin.version}"
