"""One revision of a function with its workers, as the supervisor holds it."""

from __future__ import annotations

import asyncio
from copy import copy
from typing import Any

from skerry.engine.autoscaler import ASK_S, Autoscaler
from skerry.engine.records import RevisionRecord
from skerry.errors import UnavailableError
from skerry.runtime.nursery import Nursery
from skerry.runtime.pinned_model import PinnedModel
from skerry.runtime.pool import WorkerPool


class Served:
    """One revision of a function that is being served, or stands by to be."""

    __slots__ = (
        "_hold",
        "autoscaler",
        "beside",
        "is_loaded",
        "nursery",
        "pinned",
        "pool",
        "ready",
        "revision",
        "unloading",
    )

    def __init__(
        self,
        revision: RevisionRecord,
        pool: WorkerPool,
        autoscaler: Autoscaler,
        nursery: Nursery,
        pinned: PinnedModel | None,
    ) -> None:
        self.revision = revision
        self.nursery = nursery
        self.pool = pool
        self.autoscaler = autoscaler
        self.pinned = pinned
        self._hold = None if pinned is None else pinned.hold()
        self.beside: tuple[Served, ...] = ()  # other versions that may be asked for by their number
        self.is_loaded = True  # false once somebody has asked for its unload
        self.unloading: asyncio.Task[None] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # see `start_one`

    @property
    def is_ready(self) -> bool:
        """Whether a worker has loaded it."""
        return self.pool.counts()["ready"] > 0

    async def start_one(self) -> None:
        """Begin with one worker, and wait until it is ready.

        Raises:
            StartError: it cannot be started.
            UnavailableError: there is no memory for it, or `give_up` was called meanwhile.
        """
        pool, ready = self.pool, self.ready
        record = pool.notify

        def heard(kind: str, detail: dict[str, Any]) -> None:
            record(kind, detail)
            if kind == "worker_ready" and not ready.done():
                ready.set_result(None)
            elif kind == "worker_lost" and pool.last_error is not None and not ready.done():
                ready.set_exception(pool.last_error)

        pool.notify = heard
        try:
            await self._begin()
            await ready
        finally:
            pool.notify = record

    async def _begin(self) -> None:
        """Ask for the first worker until there is memory for it; no call waits, so nobody else would ask again."""
        while not self.ready.done():
            self.autoscaler.start(1)
            if self.pool.desired:
                return
            await asyncio.sleep(ASK_S)
            if self.pool.dispatcher.refusal is not None:
                raise copy(self.pool.dispatcher.refusal)

    def release(self) -> None:
        """Let its model's files be evicted: its workers have ended."""
        if self._hold is not None:
            self._hold.close()

    def give_up(self) -> None:
        """Decide nothing more, take nothing more, and let nobody wait for a worker any more."""
        self.autoscaler.stop()
        # Now, and not when the pool drains: what comes after a deployment is not the old one's.
        self.pool.dispatcher.close()
        if not self.ready.done():
            self.ready.set_exception(UnavailableError(f"revision {self.revision.name} is not wanted any more"))
            self.ready.exception()  # nobody needs to look at it


def unloaded(function: str) -> UnavailableError:
    """Return what callers of a function are told that somebody has unloaded."""
    return UnavailableError(
        f"model {function!r} is unloaded; POST /v2/repository/models/{function}/load takes requests again"
    )
